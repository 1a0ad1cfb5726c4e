// The head of the page: what was measured, on what, and how the test went.

const METHODS = {
  last_out: "The last thing each person took was hidden from training, and the model had to find it",
  by_time: "Everything after one moment was hidden from training, and the model had to find what people took then",
  by_user: "Some people were kept out of training altogether; from the first part of their history the model had to find the rest",
  random: "A share of what people took, drawn by lot, was hidden from training, and the model had to find it",
  files: "What people took in a test file of its own was hidden from training, and the model had to find it",
};

/** The test in one sentence. */
function protocolOf({ split = {}, num_queries: numQueries, data = {} }) {
  const what = METHODS[split.method] ?? `What people took in the test part (${words(split.method ?? "unnamed")}) was hidden from training, and the model had to find it`;
  const among = isNumber(data.num_items) ? `among all ${count(data.num_items)} items` : "among all items";
  const seen = split.seen === "keep" ? "what a person already had competes too" : "what a person already had does not compete";
  const targets = isNumber(split.num_test_targets) ? ` with ${many(split.num_test_targets, "right answer")}` : "";
  return `${what} ${among}; ${seen}. ${many(numQueries, "question")}${targets}.`;
}

function dataOf(card) {
  const data = card.report?.data ?? card.data ?? {};
  const name = card.settings?.data?.dataset ?? card.settings?.data?.interactions;
  const amounts = [
    isNumber(data.num_interactions) && `${many(data.num_interactions, "interaction")}`,
    isNumber(data.num_users) && (data.num_users === 1 ? "1 person" : `${count(data.num_users)} people`),
    isNumber(data.num_items) && many(data.num_items, "item"),
  ].filter(Boolean);
  const dropped = entries(data.dropped).filter(([, value]) => value);
  return [
    name && el("span", { class: "mono" }, name),
    name && amounts.length > 0 && ": ",
    listed(amounts),
    dropped.length > 0 && `; left out: ${listed(dropped.map(([why, value]) => `${many(value, "row")} (${words(why)})`))}`,
  ];
}

function datesOf(card) {
  const data = card.report?.data ?? card.data ?? {};
  return data.first && data.last ? `${day(data.first)} to ${day(data.last)}` : null;
}

function seedOf({ seed, seeds }) {
  const all = list(seeds?.seeds);
  if (all.length > 1) return `seed ${seed}, best on validation of ${all.length} seeds (their figures stand below)`;
  return isNumber(seed) ? `1 of 1 seed (${seed}): how much another one would change was not measured` : null;
}

function facts(artifact) {
  const { card, report } = artifact;
  const rows = [
    ["Model", el("span", { class: "mono" }, artifact.model)],
    ["Data", dataOf(card)],
    ["Dates", datesOf(card)],
    report && ["Test", protocolOf(report)],
    report && ["Training", seedOf(report)],
    report && [
      "Fingerprints",
      el("span", { class: "prints mono" }, [["split", report.split?.fingerprint], ["data", report.data?.fingerprint]].filter(([, print]) => print).map(([name, print]) => el("span", {}, `${name} ${print}`))),
    ],
    !report && ["Report", "This artifact was not evaluated: it has no figures to show."],
  ];
  return el("dl", { class: "facts" }, rows.filter((row) => row && row[1]).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function brand() {
  return el(
    "p",
    { class: "brand" },
    svg(
      "svg",
      { viewBox: "0 0 32 32", "aria-hidden": "true" },
      svg("rect", { width: 32, height: 32, rx: 8 }),
      [[8, 18], [14.5, 12.5], [21, 7]].map(([y, width]) => svg("rect", { class: "bar", x: 7, y, width, height: 4, rx: 2 })),
    ),
    "Shortlist",
    el("span", {}, "evaluation report"),
  );
}

function header(artifacts, groups) {
  const isOne = artifacts.length === 1;
  const named = artifacts.map((artifact) => {
    const series = groups.flatMap((group) => group.own).find((one) => one.artifact === artifact);
    return el("div", { class: `about ${series && !isOne ? paintOf(series) : ""}` }, !isOne && el("h2", {}, artifact.name), facts(artifact));
  });
  return el(
    "header",
    { class: "head", "data-testid": "head" },
    brand(),
    el("h1", {}, isOne ? artifacts[0].name : listed(artifacts.map((one) => one.name))),
    isOne ? named : el("div", { class: "abouts" }, named),
  );
}
