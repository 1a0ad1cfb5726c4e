// How it stands: the figure that selects, the best baseline beside it, and which of several artifacts is better.

/** What an interval of a difference says: 1 better, −1 worse, 0 not decided. */
const sign = (found) => (isNumber(found?.low) && found.low > 0 ? 1 : isNumber(found?.high) && found.high < 0 ? -1 : 0);
const signClass = (found) => ({ 1: "is-better", [-1]: "is-worse", 0: "is-open" })[sign(found)];

/** In words, the first thing a reader sees. */
function headline(found, base, about = "") {
  const name = [base, about && el("i", {}, `, ${about}`)];
  if (!isNumber(found?.difference)) return ["Not compared with ", name];
  const decided = sign(found);
  if (decided !== 0) return [decided > 0 ? "Better than " : "Worse than ", name];
  if (found.difference === 0) return ["Level with ", name];
  return found.difference > 0 ? ["Ahead of ", name, ", but this may be chance"] : ["Behind ", name, ", though this may be chance"];
}

/** The numbers behind it, in one or two sentences. */
function evidence(found, figure, base) {
  if (!isNumber(found?.difference)) return "There is no paired comparison on the same questions.";
  const { difference, minimum_detectable: least, num_queries: numQueries } = found;
  const smaller = isNumber(least) && Math.abs(difference) < least && sign(found) === 0;
  return [
    el("b", {}, `${signed(difference)} ${figureName(figure)}`),
    ` ${difference < 0 ? "against" : "over"} ${base} ${interval(found, signed)}, better with probability ${probability(found.probability)}. `,
    isNumber(least) && `${many(numQueries, "question")} can show differences from ${decimals(least)} on${smaller ? ": more than was found here" : ""}.`,
  ];
}

const isWarning = (note) => /\bbelow\b|\bwarning\b|higher than live|\bsampled\b|do not keep|does not keep|interrupted|could not|failed/i.test(note);

function callout(text, warns) {
  return el("p", { class: warns ? "callout is-warning" : "callout" }, el("b", {}, warns ? "Mind: " : "Note: "), minusSigns(String(text)));
}

const minusSigns = (text) => text.replace(/(^|[\s[(])-(?=\d)/g, "$1\u2212").replace(/\b[a-z]+@\d+\b/g, (figure) => figureName(figure));

/** Differences from every baseline on one axis, zero in the middle of attention. */
function differences(artifact, figure) {
  const { models, comparisons } = artifact.report;
  const rows = entries(comparisons?.against)
    .filter(([, found]) => isNumber(found?.difference))
    .sort(([a], [b]) => (models[b]?.[figure]?.value ?? 0) - (models[a]?.[figure]?.value ?? 0));
  if (rows.length === 0) return null;
  return stripTable({
    caption: `Paired difference in ${figureName(figure)} from each baseline, and the probability that this model is better`,
    columns: ["Baseline", "Difference and 95 % interval", "Difference", "Probability"],
    rows: rows.map(([name, found]) => ({
      head: name,
      marks: [{ figure: found, paint: signClass(found) }],
      cells: [el("span", { class: signClass(found) }, signed(found.difference)), probability(found.probability)],
    })),
    domain: domainOf(rows.map(([, found]) => found), { zero: true }),
    axis: "← baseline better · this model better →",
    reference: 0,
  });
}

function verdict(series, isOne) {
  const { artifact } = series;
  const { report, card } = artifact;
  const figure = report.comparisons?.figure ?? card.settings?.evaluation?.select_on;
  const own = series.figures[figure];
  const against = entries(report.comparisons?.against).sort(
    ([a], [b]) => (report.models[b]?.[figure]?.value ?? -Infinity) - (report.models[a]?.[figure]?.value ?? -Infinity),
  );
  const [base, found] = against[0] ?? [null, null];
  const about = against.length > 1 ? `the best of ${against.length} baselines` : "";
  return el(
    "article",
    { class: `verdict ${found ? signClass(found) : ""} ${paintOf(series)}`, "data-testid": "verdict" },
    !isOne && el("h3", { class: "of" }, artifact.name, el("small", {}, artifact.model)),
    el(
      "div",
      { class: "big" },
      el("p", { class: "number" }, decimals(own?.value)),
      el("p", { class: "under" }, figureName(figure ?? ""), " ", el("span", { class: "nowrap" }, interval(own ?? {}))),
      el("p", { class: "fine" }, figure ? plainWords(parts(figure).metric) : ""),
    ),
    el(
      "div",
      { class: "says" },
      el("p", { class: "headline" }, base === null ? "No baseline was measured beside it" : headline(found, base, about)),
      base !== null && el("p", { class: "evidence" }, evidence(found, figure, base)),
    ),
    el("div", { class: "wide" }, differences(artifact, figure)),
    el("div", { class: "wide notes" }, list(report.notes).map((note) => callout(note, isWarning(note)))),
  );
}

/** Pairs of artifacts: which one is better, or why that must not be asked. */
function whichIsBetter(comparisons, artifacts) {
  return comparisons.map((pair) => {
    const { first, second } = pair;
    if (!pair.comparable) {
      return el(
        "article",
        { class: "pair is-apart", "data-testid": "not-comparable" },
        el("p", { class: "headline" }, `${first} and ${second} must not be compared by their figures`),
        el("p", { class: "callout is-warning" }, el("b", {}, "Why: "), pair.why_not || "They were not measured by the same test."),
        el("p", { class: "fine" }, "Below, each stands in a chart of its own: a higher number in one does not mean a better model than in the other."),
      );
    }
    const figures = entries(pair.figures).filter(([, found]) => isNumber(found?.difference));
    if (figures.length === 0) return el("p", { class: "empty" }, `No figure of ${first} and ${second} could be paired.`);
    const selecting = artifacts.find((one) => one.given === first)?.report?.comparisons?.figure;
    const [figure, found] = figures.find(([name]) => name === selecting) ?? figures[0];
    return el(
      "article",
      { class: "pair", "data-testid": "pair" },
      el("p", { class: `headline ${signClass(found)}` }, `${first} is `, headline(found, second).map((text, at) => (at === 0 ? text.toLowerCase() : text))),
      el("p", { class: "evidence" }, evidence(found, figure, second)),
      stripTable({
        caption: `${first} minus ${second} on the same questions, and the probability that ${first} is better`,
        columns: ["Figure", "Difference and 95 % interval", "Difference", "Probability"],
        rows: figures.map(([name, one]) => ({
          head: figureName(name),
          marks: [{ figure: one, paint: signClass(one) }],
          cells: [el("span", { class: signClass(one) }, signed(one.difference)), probability(one.probability)],
        })),
        domain: domainOf(figures.map(([, one]) => one), { zero: true }),
        axis: `← ${second} better · ${first} better →`,
        reference: 0,
      }),
    );
  });
}
