// What the page is about, in a form that the charts can draw: artifacts, groups that may stand on one axis, and series.

/** Artifacts with their reports; those of one name get a number, so that no two look alike. */
function readArtifacts(data) {
  const seen = new Map();
  return list(data.artifacts).map(({ name, card }, place) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    const report = isRecord(card?.report) && entries(card.report.models).length > 0 ? card.report : null;
    return {
      place,
      name: times > 1 ? `${name} (${times})` : String(name),
      given: name,
      card: isRecord(card) ? card : {},
      model: String(card?.model ?? Object.keys(report?.models ?? {})[0] ?? "model"),
      report,
    };
  });
}

/** The comparison of two artifacts that was handed to the page, whichever way round it was written. */
function comparisonOf(comparisons, one, other) {
  return comparisons.find(
    ({ first, second }) => (first === one.given && second === other.given) || (first === other.given && second === one.given),
  );
}

/** Whether figures of both may stand on one axis: as the comparison says, or else where data and test are the same. */
function areComparable(comparisons, one, other) {
  const found = comparisonOf(comparisons, one, other);
  if (found) return found.comparable === true;
  const test = ({ report }) => [report.split?.fingerprint, report.data?.fingerprint];
  return test(one)[0] !== undefined && String(test(one)) === String(test(other));
}

/** Evaluated artifacts in groups that are comparable throughout. */
function groupsOf(artifacts, comparisons) {
  const groups = [];
  for (const artifact of artifacts.filter((one) => one.report)) {
    const home = groups.find((group) => group.every((other) => areComparable(comparisons, artifact, other)));
    if (home) home.push(artifact);
    else groups.push([artifact]);
  }
  return groups.map((members) => groupOf(members, artifacts.length > 1));
}

/** Each artifact's own model, then every baseline once: again only where its figures differ. */
function groupOf(members, isOneOfSeveral) {
  const own = members.map((artifact) => seriesOf(artifact, ownModel(artifact), artifact.place, isOneOfSeveral ? artifact.name : null));
  const baselines = [];
  for (const artifact of members) {
    for (const key of Object.keys(artifact.report.models)) {
      if (key === ownModel(artifact)) continue;
      const known = baselines.filter((one) => one.key === key);
      const text = JSON.stringify(artifact.report.models[key]);
      if (known.some((one) => JSON.stringify(one.figures) === text)) continue;
      const label = known.length > 0 ? `${key} (${artifact.name})` : key;
      baselines.push({ ...seriesOf(artifact, key, baselines.length, label), own: false });
    }
  }
  const series = [...own, ...baselines];
  const figures = [...new Set(series.flatMap((one) => Object.keys(one.figures)))];
  const first = members[0].report;
  const selecting = first.comparisons?.figure ?? members[0].card.settings?.evaluation?.select_on;
  return {
    members,
    own,
    baselines,
    series,
    figures,
    definition: Object.assign({}, ...members.map(({ report }) => report.definition ?? {})),
    selecting: figures.includes(selecting) ? selecting : figures[0],
    title: listed(members.map(({ name }) => name)),
  };
}

/** The reports have the model itself first; its name is also the card's. */
function ownModel({ model, report }) {
  return model in report.models ? model : Object.keys(report.models)[0];
}

function seriesOf(artifact, key, place, label) {
  const { report } = artifact;
  return {
    artifact,
    key,
    own: true,
    label: label ?? key,
    paint: place,
    figures: report.models[key] ?? {},
    parameters: report.cost?.parameters?.[key],
    selected: report.settings?.[key],
    /** [[k, value], …] without what was not measured. */
    curve: (metric) =>
      list(report.curves?.k)
        .map((k, at) => [k, report.curves?.[metric]?.[key]?.[at]])
        .filter(([, value]) => isNumber(value)),
  };
}

/** The class that gives a series its colour. */
const paintOf = (series) => (series.own ? `own own-${series.paint % 4}` : `baseline baseline-${series.paint % 6}`);

/** The figure that is looked at, shared by the parts of the page that show one figure. */
function createView(groups) {
  const figures = [...new Set(groups.flatMap((group) => group.figures))];
  const listeners = [];
  const ksOf = (metric) => [...new Set(figures.map(parts).filter((one) => one.metric === metric).map((one) => one.k))].sort((a, b) => a - b);
  const start = parts(groups[0].selecting);
  const view = {
    figures,
    metric: start.metric,
    k: start.k ?? ksOf("ndcg")[0] ?? null,
    ksOf,
    allKs: [...new Set(figures.map((figure) => parts(figure).k).filter((k) => k !== null))].sort((a, b) => a - b),
    onChange: (listener) => listeners.push(listener),
    change(metric, k) {
      const ks = ksOf(metric);
      view.metric = metric;
      if (ks[0] !== null) view.k = ks.includes(k) ? k : ks[0];
      listeners.forEach((listener) => listener());
    },
    figure: () => (ksOf(view.metric)[0] === null ? view.metric : `${view.metric}@${view.k}`),
  };
  return view;
}
