// What accuracy costs elsewhere: every model as a point, with its intervals as thin lines.

const AXES = ["popularity", "coverage", "diversity", "novelty", "miscalibration", "serendipity", "gini", "popularity_lift"];

function tradeOff(groups, view, state) {
  const known = AXES.filter((metric) => view.figures.some((figure) => parts(figure).metric === metric));
  if (known.length === 0) return null;
  if (!known.includes(state.against)) state.against = known[0];
  const controls = el("div", { class: "controls" });
  const charts = el("div", { "data-testid": "trade-off" });
  const redraw = () => {
    const accuracy = metricGroups(view.figures).filter(([name]) => name !== "What the lists are like");
    const isAccuracy = accuracy.some(([, options]) => options.some(([metric]) => metric === view.metric));
    const metric = isAccuracy ? view.metric : parts(groups[0].selecting).metric;
    const figure = view.ksOf(metric)[0] === null ? metric : `${metric}@${view.k}`;
    controls.replaceChildren(
      choice("Accuracy", "trade-off-metric", accuracy, metric, (value) => view.change(value, view.k)),
      choice("against", "trade-off-axis", known.map((name) => [name, metricName(name)]), state.against, (value) => {
        state.against = value;
        redraw();
      }),
      switches("k", "trade-off-k", view.allKs.map((k) => [k, String(k)]), view.k, (k) => view.change(metric, k)),
    );
    const other = view.figures.includes(`${state.against}@${view.k}`) ? `${state.against}@${view.k}` : state.against;
    charts.replaceChildren(
      ...groups.map((group) => el("div", { class: "chart" }, groupHeading(group, groups), scatter(group, other, figure))),
      el("p", { class: "fine" }, el("b", {}, `${figureName(other)}: `), plainWords(state.against), " ", groups[0].definition[other] ? `Exactly: ${groups[0].definition[other]}.` : ""),
    );
  };
  view.onChange(redraw);
  redraw();
  return [controls, charts];
}

function scatter(group, xFigure, yFigure) {
  const points = group.series
    .map((series) => ({ series, x: series.figures[xFigure], y: series.figures[yFigure] }))
    .filter((one) => isNumber(one.x?.value) && isNumber(one.y?.value));
  if (points.length === 0) return el("p", { class: "empty" }, "No model has both figures.");
  const title = `${figureName(yFigure)} against ${figureName(xFigure)}`;
  const said = points.map((one) => `${one.series.label}: ${decimals(one.y.value)} at ${decimals(one.x.value)}`).join("; ");
  return plane(title, said, (width) => {
    const height = width < 480 ? 340 : 420;
    const box = { left: 50, right: width - 16, top: 34, bottom: height - 48 };
    const [xs, ys] = [domainOf(points.map((one) => one.x)), domainOf(points.map((one) => one.y))];
    const x = (value) => box.left + ((value - xs[0]) / (xs[1] - xs[0])) * (box.right - box.left);
    const y = (value) => box.bottom - ((value - ys[0]) / (ys[1] - ys[0])) * (box.bottom - box.top);
    const { values, step } = ticks(...xs, width < 480 ? 4 : 7);
    const write = tickText(step);
    const axis = [
      values.map((at) => [
        svg("line", { class: "grid", x1: x(at), x2: x(at), y1: box.top, y2: box.bottom }),
        svg("text", { class: "tick", x: x(at), y: box.bottom + 19, "text-anchor": "middle" }, write(at)),
      ]),
      svg("text", { class: "axis-title", x: (box.left + box.right) / 2, y: height - 6, "text-anchor": "middle" }, axisTitle(xFigure)),
    ];
    const ranges = points.map((one) =>
      svg(
        "g",
        { class: paintOf(one.series) },
        hasWidth(one.x) && svg("line", { class: "whisker", x1: x(one.x.low), x2: x(one.x.high), y1: y(one.y.value), y2: y(one.y.value) }),
        hasWidth(one.y) && svg("line", { class: "whisker", x1: x(one.x.value), x2: x(one.x.value), y1: y(one.y.low), y2: y(one.y.high) }),
      ),
    );
    const places = labelPlaces(
      points.map((one) => ({
        x: x(one.x.value),
        y: y(one.y.value),
        ends: hasWidth(one.y) ? [y(one.y.high), y(one.y.low)] : [y(one.y.value), y(one.y.value)],
        text: one.series.label,
      })),
      box,
    );
    const marks = points.map((one, at) => pointOf(one, { x, y, xFigure, yFigure, place: places[at] })).reverse();
    const yTitle = axisTitle(yFigure).replace("better →", "better ↑").replace("← better", "better ↓");
    return { height, children: [valueAxis(y, ys, { left: box.left, right: box.right, title: yTitle }), axis, ranges, marks] };
  });
}

const hasWidth = (figure) => isNumber(figure.low) && isNumber(figure.high) && figure.high > figure.low;

/** A point with its name; pointing at it or reaching it by keyboard tells its values. */
function pointOf(one, { x, y, xFigure, yFigure, place }) {
  const told = (figure) => [decimals(figure.value), " ", el("small", {}, hasWidth(figure) ? interval(figure) : "")];
  const rows = [
    [figureName(yFigure), told(one.y)],
    [figureName(xFigure), told(one.x)],
  ];
  const show = (event) => {
    const frame = event.currentTarget.getBoundingClientRect();
    showTooltip(tooltipRows(one.series.label, rows), frame.right - 8, frame.top + frame.height / 2);
  };
  return svg(
    "g",
    {
      class: `point ${paintOf(one.series)}`,
      tabindex: 0,
      role: "img",
      "aria-label": `${one.series.label}: ${figureName(yFigure)} ${decimals(one.y.value)}, ${figureName(xFigure)} ${decimals(one.x.value)}`,
      onpointerenter: show,
      onfocus: show,
      onpointerleave: hideTooltip,
      onblur: hideTooltip,
    },
    mark(one.series, x(one.x.value), y(one.y.value), one.series.own ? 6 : 5),
    place.leader && svg("path", { class: "leader", d: place.leader }),
    svg("text", { class: "label", x: place.x, y: place.y, "font-size": 13 }, one.series.label),
  );
}

const NEAR = 8; // places right beside a point

/** For each point the first of several places around it where its name touches no other name, no point and, close by, no line. */
function labelPlaces(points, box) {
  const taken = points.map(({ x, y }) => ({ left: x - 10, right: x + 10, top: y - 9, bottom: y + 9 }));
  const lines = points.map(({ x, ends }) => ({ left: x - 3, right: x + 3, top: ends[0], bottom: ends[1] }));
  const isFree = (one, obstacles) =>
    one.left >= box.left && one.right <= box.right + 14 && one.top >= box.top - 6 && one.bottom <= box.bottom &&
    !obstacles.some((other) => one.left < other.right && one.right > other.left && one.top < other.bottom && one.bottom > other.top);
  return points.map(({ x, y, text }) => {
    const width = widthOf(text);
    const at = (left, middle) => ({ left, right: left + width, top: middle - 9, bottom: middle + 9 });
    const wished = [];
    for (const far of [0, 18, 36, 54, 80, 110]) {
      for (const side of far ? [-1, 1] : [-1]) {
        const lift = side * (far || 10);
        wished.push(at(x + 11, y + lift), at(x - 11 - width, y + lift));
        if (far) wished.push(at(x - width / 2, y + lift));
      }
    }
    const near = wished.slice(0, NEAR);
    const found =
      near.find((one) => isFree(one, [...taken, ...lines])) ??
      near.find((one) => isFree(one, taken)) ??
      wished.find((one) => isFree(one, [...taken, ...lines])) ??
      wished.find((one) => isFree(one, taken)) ??
      wished[0];
    taken.push(found);
    const middle = (found.top + found.bottom) / 2;
    const isBeside = Math.abs(middle - y) <= 20;
    const from = found.left > x ? found.left - 3 : found.right < x ? found.right + 3 : x;
    const to = from === x ? (middle > y ? found.top : found.bottom) : middle;
    return { x: found.left, y: middle + 4.5, leader: isBeside ? null : `M${x} ${y}L${from} ${to}` };
  });
}
