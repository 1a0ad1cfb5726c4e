// Scales, and tables whose rows carry a dot and its interval. Positions are shares of the width, so that such a table fits any paper.

/** Round numbers from low to high, about so many. */
function ticks(low, high, about = 6) {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / about));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => span / one <= about) ?? 10 * power;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return { values: found, step };
}

/** How a tick is written: with as many places as its step needs. */
function tickText(step) {
  const text = step.toPrecision(2).replace(/0+$/, "");
  const places = step >= 1 && Number.isInteger(step) ? 0 : Math.min(6, (Number(text).toFixed(8).replace(/0+$/, "").split(".")[1] ?? "").length);
  return (value) => (Math.abs(value) >= 10000 ? count(value) : minus((Math.abs(value) < step * 1e-6 ? 0 : value).toFixed(places)));
}

/** From the least to the greatest of all values and interval ends, with a little room; zero is in where it is near or asked for. */
function domainOf(figures, { zero = false } = {}) {
  const values = figures.flatMap((one) => [one?.value ?? one?.difference, one?.low, one?.high]).filter(isNumber);
  if (values.length === 0) return [0, 1];
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (zero || (low > 0 && low < (high - low) * 0.6)) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
  const room = (high - low) * 0.04 || Math.abs(high) * 0.1 || 0.1;
  return [low === 0 ? 0 : low - room, high === 0 ? 0 : high + room];
}

const shareIn = ([low, high]) => (value) => `${(((value - low) / (high - low)) * 100).toFixed(3)}%`;

/** One row's drawing: grid, reference line, then an interval and a dot for each mark {figure, paint}. */
function strip(marks, domain, { reference = null } = {}) {
  const x = shareIn(domain);
  const shown = marks.filter(({ figure }) => isNumber(figure?.value ?? figure?.difference));
  const many = shown.length > 1;
  return svg(
    "svg",
    { class: "strip", "aria-hidden": "true", focusable: "false" },
    ticks(...domain).values.map((at) => svg("line", { class: "grid", x1: x(at), x2: x(at), y1: "0%", y2: "100%" })),
    isNumber(reference) && svg("line", { class: "reference", x1: x(reference), x2: x(reference), y1: "0%", y2: "100%" }),
    shown.map(({ figure, paint }, place) => {
      const y = `${many ? 50 + (place - (shown.length - 1) / 2) * Math.min(30, 60 / shown.length) : 50}%`;
      const hasInterval = isNumber(figure.low) && isNumber(figure.high);
      return svg(
        "g",
        { class: paint },
        hasInterval && svg("line", { class: "range", x1: x(figure.low), x2: x(figure.high), y1: y, y2: y }),
        svg("circle", { class: "dot", cx: x(figure.value ?? figure.difference), cy: y, r: many ? 4.5 : 5.5 }),
      );
    }),
  );
}

/** The row beneath with the numbers of the axis and what it shows. */
function stripAxis(domain, title) {
  const x = shareIn(domain);
  const { values, step } = ticks(...domain);
  const write = tickText(step);
  const crowded = values.length > 4;
  return [
    svg(
      "svg",
      { class: "strip-axis", "aria-hidden": "true", focusable: "false" },
      values.map((at, place) => svg("text", { x: x(at), y: 13, "text-anchor": "middle", class: crowded && place % 2 ? "tick is-spare" : "tick" }, write(at))),
    ),
    title && el("div", { class: "axis-title" }, title),
  ];
}

/**
 * A table of rows {head, cells, marks, className}, where the strip stands second.
 * Roles are written out: a stylesheet that lays rows out anew would otherwise take them away.
 */
function stripTable({ caption, columns, rows, domain, axis, reference, className = "" }) {
  const heading = (text, at) => el("th", { role: "columnheader", scope: "col", class: at === 1 ? "is-strip" : at > 1 ? "is-number" : null }, text);
  const body = rows.map((row) =>
    el(
      "tr",
      { role: "row", class: row.className, ...row.data },
      el("th", { role: "rowheader", scope: "row" }, row.head),
      el("td", { role: "cell", class: "is-strip" }, strip(row.marks, domain, { reference })),
      row.cells.map((cell) => el("td", { role: "cell", class: "is-number" }, cell)),
    ),
  );
  const foot = el(
    "tr",
    { role: "row", "aria-hidden": "true", class: "axis-row" },
    el("td", { role: "cell" }),
    el("td", { role: "cell", class: "is-strip" }, stripAxis(domain, axis)),
    columns.slice(2).map(() => el("td", { role: "cell" })),
  );
  return el(
    "table",
    { class: `strips ${className}`, role: "table" },
    el("caption", {}, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map(heading))),
    el("tbody", { role: "rowgroup" }, body),
    el("tfoot", { role: "rowgroup" }, foot),
  );
}

/** A plain table that may be wider than its box: head and rows of texts or nodes; the first of a row is its header. */
function table(caption, head, rows, className = "") {
  return el(
    "div",
    { class: "table-box", tabindex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      { class: `simple ${className}`, role: "table" },
      el("caption", { class: "sr-only" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head.map((text, at) => el("th", { role: "columnheader", scope: "col", class: at ? "is-number" : null }, text)))),
      el(
        "tbody",
        { role: "rowgroup" },
        rows.map(([first, ...rest]) =>
          el("tr", { role: "row" }, el("th", { role: "rowheader", scope: "row" }, first), rest.map((cell) => el("td", { role: "cell", class: "is-number" }, cell))),
        ),
      ),
    ),
  );
}

/** A dot in a series' colour before its name. */
function named(series, small = null) {
  const key = svg("svg", { class: `key ${paintOf(series)}`, viewBox: "-7 -7 14 14", "aria-hidden": "true" }, mark(series, 0, 0, 4.5));
  return el("span", { class: series.own ? "named is-own" : "named" }, key, el("span", {}, series.label, small && el("small", {}, small)));
}
