// From totals to what happens: the difference of two samples of /v1/live, and quantiles of histograms.

export const EVERY = 2_000; // ms between two samples
export const KEPT = 90; // samples: three minutes
const RECENT = 30; // samples: the last minute

const OURS = /^\/v1\/(?!live)/; // not what this page asks for itself, nor its files, nor Prometheus

const countOf = (sample, wanted) => sample.requests.filter(({ route, status }) => OURS.test(route) && wanted(status)).reduce((sum, one) => sum + one.count, 0);
const total = (counts) => Object.values(counts).reduce((sum, one) => sum + one, 0);

/** What has grown between two samples: `older` null means since the start. */
function grown(newer, older) {
  return newer.map((value, n) => value - (older?.[n] ?? 0));
}

/** {count, sum, buckets} of a histogram between two samples. */
export function histogramBetween(newer, older) {
  if (!newer) return { count: 0, sum: 0, buckets: [] };
  return { count: newer.count - (older?.count ?? 0), sum: newer.sum - (older?.sum ?? 0), buckets: grown(newer.buckets, older?.buckets) };
}

/** The time that a share of all stayed below, in seconds, by a straight line within its bucket; null of nothing. */
export function quantile({ count, buckets }, bounds, share) {
  if (!(count > 0)) return null;
  let before = 0;
  for (let n = 0; n < bounds.length; n += 1) {
    if (buckets[n] > 0 && before + buckets[n] >= share * count) {
      const low = n ? bounds[n - 1] : 0;
      return low + (bounds[n] - low) * ((share * count - before) / buckets[n]);
    }
    before += buckets[n];
  }
  return bounds.at(-1);
}

/** All routes of ours together. */
export function merged(histograms) {
  const all = Object.entries(histograms).filter(([route]) => OURS.test(route)).map(([, one]) => one);
  if (!all.length) return { count: 0, sum: 0, buckets: [] };
  return all.reduce((a, b) => ({ count: a.count + b.count, sum: a.sum + b.sum, buckets: a.buckets.map((value, n) => value + b.buckets[n]) }));
}

const part = (some, all) => (all > 0 ? some / all : null);

/** What one step between two samples was like. */
export function pulse(newer, older) {
  const seconds = newer.time - older.time;
  const times = histogramBetween(merged(newer.request_seconds), merged(older.request_seconds));
  const asked = countOf(newer, () => true) - countOf(older, () => true);
  const queries = total(newer.queries) - total(older.queries);
  return {
    requests: asked / seconds,
    p50: quantile(times, newer.bounds, 0.5),
    p95: quantile(times, newer.bounds, 0.95),
    errors: part(countOf(newer, (status) => status >= "500") - countOf(older, (status) => status >= "500"), asked),
    events: (total(newer.events) - total(older.events)) / seconds,
    cold: part((newer.queries.cold ?? 0) - (older.queries.cold ?? 0), queries),
    fallbacks: part(total(newer.fallbacks) - total(older.fallbacks), queries),
  };
}

/** Of several samples the one to compare with: about a minute old, or the oldest. */
export const aMinuteAgo = (samples) => samples[Math.max(0, samples.length - 1 - RECENT)];

const GONE = 20; // seconds after which a machine that does not answer any more is left for another

/**
 * Samples with one more. After a restart, which begins at nothing, the older ones say nothing. Where several machines stand
 * behind one address, the figures stay those of the first that answered, and the events are everybody's.
 */
export function withSample(samples, sample) {
  const last = samples.at(-1);
  const machines = [...new Set([...(last?.machines ?? []), sample.instance])];
  if (last && sample.instance !== last.instance && sample.time - last.time < GONE) {
    return [...samples.slice(0, -1), { ...last, machines, latest: sample.latest, events_store: sample.events_store }];
  }
  const isOther = last && (sample.instance !== last.instance || sample.model !== last.model || countOf(sample, () => true) < countOf(last, () => true));
  return isOther ? [{ ...sample, machines: [sample.instance] }] : [...samples, { ...sample, machines }].slice(-KEPT - 1);
}

/** Requests by route, those of this page's own polling left out: {route, count, rate, p50, p95, failed}. */
export function routesOf(newer, older) {
  const seconds = older ? newer.time - older.time : newer.time - newer.started;
  return Object.keys(newer.request_seconds).filter((route) => OURS.test(route)).map((route) => {
    const times = histogramBetween(newer.request_seconds[route], older?.request_seconds[route]);
    const failed = (sample) => sample?.requests.filter((one) => one.route === route && one.status >= "500").reduce((sum, one) => sum + one.count, 0) ?? 0;
    return { route, count: times.count, rate: times.count / seconds, p50: quantile(times, newer.bounds, 0.5), p95: quantile(times, newer.bounds, 0.95), failed: failed(newer) - failed(older) };
  }).filter((one) => one.count > 0).sort((a, b) => b.count - a.count);
}
