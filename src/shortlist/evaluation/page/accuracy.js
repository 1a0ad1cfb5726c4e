// All models in one figure that the reader chooses, and all accuracy figures at one k as a table.

function accuracy(groups, view) {
  const controls = el("div", { class: "controls" });
  const charts = el("div", { "data-testid": "accuracy" });
  const tables = el("details", { class: "quiet", "data-testid": "accuracy-table" });
  const redraw = () => {
    const ks = view.ksOf(view.metric);
    const focused = document.activeElement?.closest?.(".switches")?.dataset.name;
    controls.replaceChildren(
      choice("Figure", "metric", metricGroups(view.figures), view.metric, (metric) => view.change(metric, view.k)),
      ks[0] === null
        ? el("p", { class: "fine" }, "over the whole list")
        : switches("k, length of the list", "k", ks.map((k) => [k, String(k)]), view.k, (k) => view.change(view.metric, k)),
    );
    if (focused === "k") controls.querySelector("input:checked")?.focus();
    charts.replaceChildren(
      ...groups.map((group) => el("div", {}, groupHeading(group, groups), dots(group, view.figure()))),
      meaning(groups, view.figure()),
    );
    tables.replaceChildren(
      el("summary", {}, view.k === null ? "All accuracy figures as a table" : `All accuracy figures at k = ${view.k} as a table`),
      ...groups.map((group) => el("div", {}, groupHeading(group, groups), figuresTable(group, view.k))),
    );
  };
  view.onChange(redraw);
  redraw();
  return [controls, charts, tables];
}

/** One row a model, the own ones first, then baselines from best to worst. */
function dots(group, figure) {
  const { metric } = parts(figure);
  const of = (series) => series.figures[figure];
  const falls = direction(metric).startsWith("lower") ? -1 : 1;
  const value = (series) => (isNumber(of(series)?.value) ? of(series).value * falls : -Infinity);
  const rows = [...group.own, ...[...group.baselines].sort((a, b) => value(b) - value(a))];
  const judged = direction(metric) === HIGHER || falls < 0;
  const best = Math.max(...rows.map(value));
  return stripTable({
    caption: `${figureName(figure)} of every model, with 95 % intervals`,
    columns: ["Model", "Value and 95 % interval", figureName(figure)],
    rows: rows.map((series) => ({
      head: named(series, ownLabel(series)),
      className: series.own ? "is-own" : null,
      data: { "data-model": series.key },
      marks: [{ figure: of(series), paint: paintOf(series) }],
      cells: [valueCell(of(series), judged && rows.length > 1 && value(series) === best && best > -Infinity)],
    })),
    domain: domainOf(rows.map(of)),
    axis: axisTitle(figure),
    reference: group.own.length === 1 ? of(group.own[0])?.value : null,
    className: "is-one-number",
  });
}

/** What stands beneath the name of an own model. */
const ownLabel = (series) => (!series.own ? null : series.label === series.key ? "this model" : series.key);

function valueCell(figure, isBest) {
  const text = decimals(figure?.value);
  const wide = isNumber(figure?.low) && figure.high > figure.low;
  return [el(isBest ? "strong" : "span", {}, text), wide && el("small", { class: "nowrap" }, interval(figure))];
}

/** Plain words first, then the exact definition. */
function meaning(groups, figure) {
  const exact = groups.map((group) => group.definition[figure]).find(Boolean);
  const told = direction(parts(figure).metric);
  const way = told === HIGHER || told.startsWith("lower") ? `${told[0].toUpperCase()}${told.slice(1)}. ` : "";
  return el(
    "p",
    { class: "meaning", "data-testid": "meaning" },
    el("b", {}, `${figureName(figure)}. `),
    `${plainWords(parts(figure).metric)} ${way}`,
    exact && el("span", { class: "exact" }, `Exactly: ${exact}.`),
  );
}

/** Accuracy figures down, models across; the best of each in bold. */
function figuresTable(group, k) {
  const shown = [...ACCURACY, ...ACCURACY.map((name) => SAMPLED + name)]
    .map((metric) => (group.figures.includes(`${metric}@${k}`) ? `${metric}@${k}` : metric))
    .filter((figure) => group.figures.includes(figure));
  const rows = shown.map((figure) => {
    const best = Math.max(...group.series.map((one) => one.figures[figure]?.value).filter(isNumber));
    return [figureName(figure), ...group.series.map(({ figures }) => valueCell(figures[figure], group.series.length > 1 && figures[figure]?.value === best))];
  });
  return table(`Accuracy figures of ${group.title}${k === null ? "" : ` at k = ${k}`}`, ["Figure", ...group.series.map((series) => named(series))], rows, "is-figures");
}

/** Which artifacts a chart is about, where not all may stand in one. */
function groupHeading(group, groups) {
  return groups.length > 1 && el("h3", { class: "of" }, group.title, el("small", {}, "measured by a test of its own"));
}
