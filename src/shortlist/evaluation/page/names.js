// What figures are called, what they say in plain words, and which direction is the better one.
const HIGHER = "higher is better";

// metric → name, plain words, direction of its axis
const METRICS = {
  ndcg: ["NDCG", "How near the top of the list the right items stand: 1 is always first, 0 is never in the list.", HIGHER],
  recall: ["Recall", "How much of what a person really took is in the list.", HIGHER],
  hit_rate: ["Hit rate", "How often the list holds at least one right item.", HIGHER],
  precision: ["Precision", "How much of the list is right.", HIGHER],
  mrr: ["MRR", "How early the first right item comes: 1 if always first, 0.5 if always second.", HIGHER],
  map: ["MAP", "How early the right items come, all of them counted.", HIGHER],
  recall_capped: ["Recall, capped", "Recall, where nobody can have more right items than the list has places.", HIGHER],
  top_k_accuracy: ["Top-k accuracy", "How often a right item is in the list, every right item counted alike.", HIGHER],
  auc: ["AUC", "How often a right item stands before another one drawn by lot; 0.5 is chance.", HIGHER],
  popularity: ["Popularity", "How well known the items of the list are.", "more popular"],
  popularity_lift: ["Popularity lift", "How much better known the items of the list are than what the person took before; 0 is the same.", "more popular"],
  novelty: ["Novelty", "How little known the items of the list are.", "less known"],
  serendipity: ["Serendipity", "How much of the list is right and would not have come from popularity alone.", HIGHER],
  diversity: ["Diversity", "How different the items of one list are from each other.", "more varied"],
  miscalibration: ["Miscalibration", "How far the mixture of the list is from the mixture of the person's history.", "lower is better"],
  coverage: ["Coverage", "How much of the corpus is shown to anybody at all.", "more of the corpus"],
  age: ["Age", "How many days ago the items of the list came.", "older"],
  gini: ["Gini", "How unequally the items are shown: 0 all alike, 1 only one.", "lower is more even"],
};
const ACCURACY = ["ndcg", "recall", "hit_rate", "precision", "mrr", "map", "recall_capped", "top_k_accuracy", "auc"];
const OF_LISTS = ["popularity", "popularity_lift", "novelty", "diversity", "coverage", "gini", "serendipity", "miscalibration"];
const SAMPLED = "sampled_";

/** Words for a name of the program's: recent_popularity → recent popularity. */
const words = (name) => String(name).replaceAll("_", " ");

/** ndcg@10 → metric and k; a figure without k has none. */
function parts(figure) {
  const [metric, k] = String(figure).split("@");
  return { metric, k: k ? Number(k) : null };
}

const isSampled = (metric) => metric.startsWith(SAMPLED);
const isOfLists = (metric) => OF_LISTS.includes(metric);

function metricName(metric) {
  if (isSampled(metric)) return `${metricName(metric.slice(SAMPLED.length))}, sampled`;
  return METRICS[metric]?.[0] ?? words(metric);
}

function figureName(figure) {
  const { metric, k } = parts(figure);
  if (k === null) return metricName(metric);
  return isSampled(metric) ? `${metricName(metric.slice(SAMPLED.length))}@${k}, sampled` : `${metricName(metric)}@${k}`;
}

function plainWords(metric) {
  if (isSampled(metric)) return `${plainWords(metric.slice(SAMPLED.length))} Among a few given items only, not the whole corpus.`;
  return METRICS[metric]?.[1] ?? "";
}

const direction = (metric) => METRICS[metric.replace(SAMPLED, "")]?.[2] ?? "";

/** What the axis of a figure says: its name, and which way is better or more. */
function axisTitle(figure) {
  const told = direction(parts(figure).metric);
  if (told === HIGHER) return `${figureName(figure)} · better →`;
  if (told === "lower is better") return `${figureName(figure)} · ← better`;
  if (told === "lower is more even") return `${figureName(figure)} · ← more even`;
  return told ? `${figureName(figure)} · ${told} →` : figureName(figure);
}

/** Every figure the reports have, in groups for a choice: [group, [[metric, name], …]]. */
function metricGroups(figures) {
  const metrics = [...new Set(figures.map((figure) => parts(figure).metric))];
  const known = (names) => names.filter((name) => metrics.includes(name)).map((name) => [name, metricName(name)]);
  const named = new Set([...ACCURACY, ...OF_LISTS]);
  const further = metrics.filter((name) => !named.has(name) && !isSampled(name)).map((name) => [name, metricName(name)]);
  const sampled = metrics.filter(isSampled).map((name) => [name, metricName(name)]);
  return [
    ["Accuracy", [...known(ACCURACY), ...further]],
    ["Among given items only", sampled],
    ["What the lists are like", known(OF_LISTS)],
  ].filter(([, options]) => options.length > 0);
}
