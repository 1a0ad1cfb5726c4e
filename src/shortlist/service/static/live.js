// Live: what the service does right now; asked again every two seconds, until paused.
import { html, useCallback, useEffect, useId, useState } from "/static/vendor/preact-htm.js";
import { getLive } from "/static/api.js";
import { Choice, Icon, Problem, Skeleton } from "/static/components.js";
import { Spark } from "/static/charts.js";
import { Drift } from "/static/drift.js";
import { EVERY, KEPT, aMinuteAgo, histogramBetween, pulse, quantile, routesOf, withSample } from "/static/livefigures.js";
import { LatestEvents } from "/static/latest.js";
import { duration, number, plural, words } from "/static/text.js";

const NEWEST = 25;
const MOST_ROWS = 8; // of a table, before "all"

/** Samples as they come; a hidden page and a paused one ask nothing, and so does one that was refused. */
function useSamples(paused) {
  const [state, setState] = useState({ samples: [], error: null });
  const [attempt, setAttempt] = useState(0);
  const refused = [401, 403].includes(state.error?.status);
  useEffect(() => {
    if (paused || refused) return undefined;
    const controller = new AbortController();
    let timer = 0;
    const ask = () => {
      const again = () => { timer = setTimeout(ask, EVERY); };
      if (document.hidden) return again();
      return getLive(NEWEST, controller.signal).then(
        (sample) => setState(({ samples }) => ({ samples: withSample(samples, sample), error: null })),
        (error) => error.name !== "AbortError" && setState(({ samples }) => ({ samples, error })),
      ).then(() => !controller.signal.aborted && again());
    };
    ask();
    return () => { controller.abort(); clearTimeout(timer); };
  }, [paused, refused, attempt]);
  const retry = useCallback(() => {
    setState(({ samples }) => ({ samples, error: null }));
    setAttempt((count) => count + 1);
  }, []);
  return { ...state, retry };
}

const milliseconds = (seconds) => (Number.isFinite(seconds) ? duration(seconds) : "–");
const share = (value) => (Number.isFinite(value) ? `${number(Number((value * 100).toPrecision(2)))} %` : "–");
const rate = (value) => (Number.isFinite(value) ? `${number(value >= 10 ? Math.round(value) : Number(value.toPrecision(2)))}` : "–");

const TILES = [
  ["requests", "requests a second", rate],
  ["p50", "median time to answer", milliseconds],
  ["p95", "95 % answered within", milliseconds],
  ["events", "events a second", rate],
  ["cold", "cold queries", share],
  ["fallbacks", "answers by a fallback", share],
  ["errors", "requests that failed", share],
];

function Tiles({ samples }) {
  const steps = samples.slice(1).map((sample, n) => pulse(sample, samples[n]));
  const lately = samples.length > 1 ? pulse(samples.at(-1), samples[Math.max(0, samples.length - 6)]) : {};
  return html`<ul class="live-tiles" role="list" data-testid="tiles">${TILES.map(([key, name, write]) => html`<li key=${key} class="live-tile" data-tile=${key}
      data-alarm=${String((key === "errors" || key === "fallbacks") && lately[key] > 0)}>
    <span class="live-name">${name}</span> <strong>${write(lately[key])}</strong>
    <${Spark} values=${steps.map((step) => step[key])} of=${KEPT} label=${`${name}, the last three minutes; now ${write(lately[key])}`} />
  </li>`)}</ul>`;
}

function Times({ title, name, rows, empty }) {
  const [all, setAll] = useState(false);
  const shown = all ? rows : rows.slice(0, MOST_ROWS);
  const high = Math.max(...rows.map(({ p95 }) => p95 ?? 0), 1e-6);
  const id = useId();
  return html`<section class="live-times" aria-labelledby=${id}><h2 id=${id}>${title}</h2>
    ${rows.length === 0 ? html`<p class="empty">${empty}</p>` : html`<div class="table-box" tabindex="0" role="region" aria-label=${`${title}: times`}><table class="places">
      <thead><tr><th scope="col">${name}</th><th scope="col">count</th><th scope="col">median</th><th scope="col">95 %</th><th scope="col" class="time-head"><span class="sr-only">as a bar</span></th></tr></thead>
      <tbody>${shown.map((row) => html`<tr key=${row.name}><th scope="row">${row.name}${row.failed > 0 && html` <span class="move is-down">${plural(row.failed, "failure")}</span>`}</th>
        <td class="place">${number(row.count)}</td><td class="place">${milliseconds(row.p50)}</td><td class="place">${milliseconds(row.p95)}</td>
        <td class="time-cell"><span class="time-bar" aria-hidden="true"><i style=${{ "--part": (row.p95 ?? 0) / high }}></i><b style=${{ "--part": (row.p50 ?? 0) / high }}></b></span></td></tr>`)}</tbody>
    </table></div>`}
    ${shown.length < rows.length && html`<button type="button" class="link live-more" onClick=${() => setAll(true)}>All ${rows.length}</button>`}</section>`;
}

const STAGES = { events: "read events", encode: "encode the query", retrieve: "retrieve candidates", rank: "rank", rerank: "re-rank", explain: "explain" };

function stagesOf(newer, older) {
  const known = Object.keys(newer.stage_seconds).sort((a, b) => Object.keys(STAGES).indexOf(a) - Object.keys(STAGES).indexOf(b));
  const rows = known.map((stage) => [STAGES[stage] ?? words(stage), histogramBetween(newer.stage_seconds[stage], older?.stage_seconds[stage])]);
  if (newer.commit_seconds.all) rows.push(["make events durable", histogramBetween(newer.commit_seconds.all, older?.commit_seconds.all)]);
  return rows.filter(([, times]) => times.count > 0)
    .map(([name, times]) => ({ name, count: times.count, p50: quantile(times, newer.bounds, 0.5), p95: quantile(times, newer.bounds, 0.95) }));
}

function Counts({ sample }) {
  const total = (counts) => Object.values(counts).reduce((sum, one) => sum + one, 0);
  const split = (counts) => Object.entries(counts).map(([name, count]) => `${number(count)} ${words(name)}`).join(" · ") || "none";
  const facts = [
    ["lists", split(sample.queries)], ["fallbacks", split(sample.fallbacks)], ["events", split(sample.events)],
    ["came again", number(sample.repeated_events)], ["refused requests", split(sample.refused)], ["the store failed", number(sample.store_errors)], ["reloads", split(sample.reloads)],
  ];
  return html`<section class="facts-box" aria-labelledby="counts-title"><h2 id="counts-title">Since the start <small>${duration(sample.time - sample.started)} ago</small></h2>
    <dl class="fact-list" data-testid="counts">${facts.map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>
    <p class="fine">${plural(total(sample.queries), "list")} in all. ${sample.workers > 1 && `${sample.workers} workers, counted together. `}${sample.machines.length > 1 && "Each machine counts for itself; the events are everybody's."}</p></section>`;
}

function Board({ samples }) {
  const [window, setWindow] = useState("start");
  const newest = samples.at(-1);
  const older = window === "minute" ? aMinuteAgo(samples) : null;
  const routes = routesOf(newest, older).map(({ route, ...one }) => ({ ...one, name: route }));
  const empty = window === "minute" ? "Nothing was asked in the last minute." : "Nothing was asked yet.";
  return html`<${Tiles} samples=${samples} />
    <div class="live-body">
      <${LatestEvents} events=${newest.latest} store=${newest.events_store} />
      <div class="live-side">
        <${Choice} label="Times of" value=${window} options=${[["start", "all since the start"], ["minute", "the last minute"]]} onChoose=${setWindow} />
        <${Times} title="Stage by stage" name="stage" rows=${stagesOf(newest, older)} empty=${empty} />
        <${Times} title="By route" name="route" rows=${routes} empty=${empty} />
      </div>
    </div>
    <${Drift} exposure=${newest.exposure} />
    <${Counts} sample=${newest} />`;
}

export function Live() {
  const [paused, setPaused] = useState(false);
  const { samples, error, retry } = useSamples(paused);
  const newest = samples.at(-1);
  return html`<div class="live">
    <header class="hero is-small live-head"><div><h1>Live</h1>
      <p>${newest ? html`${words(newest.model)} over ${plural(newest.items, "item")} · ${plural(newest.workers, "worker")} ${newest.machines.length > 1 && `of one of ${newest.machines.length} machines `}· asked every two seconds` : "\u00a0"}</p></div>
      <button type="button" class="button" data-action="pause" aria-pressed=${String(paused)} onClick=${() => setPaused(!paused)}>
        <${Icon} name=${paused ? "play" : "pause"} /> ${paused ? "Go on" : "Pause"}</button></header>
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    ${!newest && !error && html`<${Skeleton} count=${6} />`}
    ${newest && html`<${Board} samples=${samples} />`}
  </div>`;
}
