// What one re-ranking step costs and buys, by its strength.

const ALONG_STRENGTH = ["ndcg", "diversity", "miscalibration", "coverage", "gini", "popularity", "age"];

function tradeoffsPart(series, isOne) {
  const curves = entries(series.artifact.report.tradeoffs).filter(([, one]) => list(one?.points).length > 1);
  if (curves.length === 0) return null;
  return [!isOne && el("h3", { class: "of" }, series.artifact.name), curves.map(([step, curve]) => tradeoffOf(series, step, curve))];
}

function tradeoffOf(series, step, curve) {
  const points = list(curve.points).filter((one) => isNumber(one?.strength) && isRecord(one.figures));
  const names = ALONG_STRENGTH.filter((name) => points.some((one) => isNumber(one.figures[name])));
  const chosen = isNumber(curve.chosen) ? { x: curve.chosen * 100, text: `chosen: ${curve.chosen}` } : null;
  const drawn = spaced(points);
  const charts = names.map((name) => {
    const figure = `${name}@${curve.k}`;
    return lineChart({
      title: `${figureName(figure)} by the strength of ${words(step)}`,
      description: "Left and right arrow keys read the values. The same values stand in the table beneath.",
      yTitle: axisTitle(figure).replace("→", "↑").replace("←", "↓"),
      xTitle: "strength, %",
      lines: [{ series: { ...series, label: figureName(figure) }, points: drawn.filter((one) => isNumber(one.figures[name])).map((one) => [one.strength * 100, one.figures[name]]) }],
      write: (value) => decimals(value, STAGE_DECIMALS[name] ?? 4),
      marked: chosen,
      height: 230,
    });
  });
  const head = ["Strength", "Lost", "At most", ...names.map((name) => figureName(`${name}@${curve.k}`))];
  const percent = (value) => (isNumber(value) ? `${minus((value * 100).toFixed(1))} %` : "–");
  const rows = points.map((one) => [String(one.strength), percent(one.loss), percent(one.loss_high), ...names.map((name) => decimals(one.figures[name], STAGE_DECIMALS[name] ?? 4))]);
  return el(
    "div",
    { class: "tradeoff", "data-testid": `tradeoff-${step}` },
    el("h3", {}, words(step), el("small", {}, `${many(curve.num_queries, "question")}: ${curve.selected_on}`)),
    isNumber(curve.chosen) && isRecord(curve.confirmed) && chosenText(curve),
    el("div", { class: "pair-of-charts" }, charts),
    el("details", { class: "quiet" }, el("summary", {}, "As a table"), table(`${words(step)} by strength; the loss of NDCG is at most so much with probability 0.95`, head, rows)),
  );
}

/** Points far enough apart to have a number each on the axis; the search for a strength leaves some close together. */
function spaced(points) {
  let last = -1;
  return points.filter(({ strength }) => {
    if (strength - last < 0.045) return false;
    last = strength;
    return true;
  });
}

function chosenText({ chosen, max_loss: wanted, confirmed, confirmed_on: where }) {
  const found = confirmed.difference;
  return el(
    "p",
    {},
    el("b", {}, `Strength ${chosen}`),
    ` is the largest found that surely loses at most ${(wanted * 100).toFixed(1)} % of NDCG. On ${where} it lost ${minus((confirmed.loss * 100).toFixed(1))} %`,
    isNumber(found?.difference) && ` (${signed(found.difference)} ${interval(found, signed)})`,
    ".",
  );
}
