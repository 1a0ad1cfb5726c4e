// Lines over an axis, each named at its end, with a crosshair that the pointer and the arrow keys move.

/**
 * Lines of series: lines is [{series, points: [[x, y], …]}]; x runs on a logarithmic or plain axis.
 * Marked x get a dashed line with a word.
 */
function lineChart({ title, description, yTitle, xTitle, lines, isLog = false, write = decimals, marked = null, height = 340, zero = true }) {
  const shown = lines.filter(({ points }) => points.length > 0);
  const xs = [...new Set(shown.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const labels = shown.map(({ series }) => series.label);
  const isNamed = labels.length > 1; // a single line is what the axis says

  return plane(title, description, (width) => {
    const size = width < 480 ? 12 : 13;
    const box = {
      left: 50,
      right: width - (isNamed ? Math.max(...labels.map((text) => widthOf(text, { size }))) + 30 : 14),
      top: 30,
      bottom: height - 46,
    };
    const values = shown.flatMap(({ points }) => points.map(([, y]) => ({ value: y })));
    const domain = domainOf(values, { zero });
    const along = isLog ? Math.log : (value) => value;
    const [start, end] = [along(xs[0]), along(xs[xs.length - 1])];
    const x = (value) => (end === start ? (box.left + box.right) / 2 : box.left + ((along(value) - start) / (end - start)) * (box.right - box.left));
    const y = (value) => box.bottom - ((value - domain[0]) / (domain[1] - domain[0])) * (box.bottom - box.top);

    const numbers = isLog ? xs.filter((one) => Number.isInteger(Math.log10(one)) || (width > 560 && /^[25]/.test(String(one)) && xs.length > 4)) : everyFew(xs, width);
    const axis = [
      numbers.map((one) => [
        svg("line", { class: "tick-mark", x1: x(one), x2: x(one), y1: box.bottom, y2: box.bottom + 5 }),
        svg("text", { class: "tick", x: x(one), y: box.bottom + 19, "text-anchor": "middle" }, count(one)),
      ]),
      svg("line", { class: "base", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
      svg("text", { class: "axis-title", x: (box.left + box.right) / 2, y: height - 5, "text-anchor": "middle" }, xTitle),
    ];
    const mark = marked && [
      svg("line", { class: "reference", x1: x(marked.x), x2: x(marked.x), y1: box.top, y2: box.bottom }),
      svg("text", { class: "note", ...(x(marked.x) > (box.left + box.right) / 2 ? { x: x(marked.x) - 6, "text-anchor": "end" } : { x: x(marked.x) + 6 }), y: box.bottom - 8 }, marked.text),
    ];

    const ends = shown.map(({ points }) => y(points[points.length - 1][1]));
    const places = spread(ends, size + 5, box.top + 2, box.bottom);
    const drawn = shown.map(({ series, points }, at) => {
      const [lastX] = points[points.length - 1];
      return svg(
        "g",
        { class: `line ${paintOf(series)}` },
        svg("path", { d: points.map(([a, b], place) => `${place ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("") }),
        points.length < 9 && (series.own || points.length === 1) && points.map(([a, b]) => svg("circle", { class: "dot", cx: x(a), cy: y(b), r: points.length === 1 ? 5 : 3 })),
        isNamed && svg("path", { class: "leader", d: `M${x(lastX) + 4} ${ends[at]}L${box.right + 16} ${places[at]}` }),
        isNamed && svg("text", { class: "label", x: box.right + 20, y: places[at] + 4, "font-size": size }, series.label),
      );
    });
    drawn.push(...drawn.splice(0, shown.filter(({ series }) => series.own).length)); // the own lines lie on top

    const cross = svg("g", { class: "cross", visibility: "hidden" });
    const children = [valueAxis(y, domain, { left: box.left, right: box.right, title: yTitle }), axis, mark, drawn, cross];
    return { height, children, tabindex: 0, class: "is-live", ...crosshair({ cross, shown, xs, x, y, box, xTitle, write }) };
  });
}

/** Numbers of a plain axis, so many as there is room for. */
function everyFew(xs, width) {
  const step = Math.max(1, Math.ceil(xs.length / Math.max(3, width / 70)));
  return xs.filter((_, at) => at % step === 0);
}

/** What follows the pointer or the arrow keys: a line, dots on the series, and their values in order. */
function crosshair({ cross, shown, xs, x, y, box, xTitle, write }) {
  let at = -1;
  const hide = () => {
    cross.setAttribute("visibility", "hidden");
    hideTooltip();
  };
  const show = (place, drawing) => {
    at = Math.max(0, Math.min(xs.length - 1, place));
    const here = shown
      .map(({ series, points }) => ({ series, value: points.find(([one]) => one === xs[at])?.[1] }))
      .filter(({ value }) => isNumber(value))
      .sort((a, b) => b.value - a.value);
    cross.replaceChildren(
      svg("line", { x1: x(xs[at]), x2: x(xs[at]), y1: box.top, y2: box.bottom }),
      ...here.map(({ series, value }) => svg("g", { class: paintOf(series) }, mark(series, x(xs[at]), y(value), 4))),
    );
    cross.setAttribute("visibility", "visible");
    const frame = drawing.getBoundingClientRect();
    const scale = frame.width / drawing.viewBox.baseVal.width;
    const heading = `${xTitle.split(",")[0]} ${count(xs[at])}`;
    showTooltip(tooltipRows(heading, here.map(({ series, value }) => [series, write(value)])), frame.left + x(xs[at]) * scale, frame.top + frame.height / 2);
  };
  const nearest = (event) => {
    const frame = event.currentTarget.getBoundingClientRect();
    const pointer = ((event.clientX - frame.left) / frame.width) * event.currentTarget.viewBox.baseVal.width;
    return xs.reduce((best, one, place) => (Math.abs(x(one) - pointer) < Math.abs(x(xs[best]) - pointer) ? place : best), 0);
  };
  return {
    onpointermove: (event) => show(nearest(event), event.currentTarget),
    onpointerdown: (event) => show(nearest(event), event.currentTarget),
    onpointerleave: hide,
    onblur: hide,
    onkeydown: (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show(at < 0 ? (step > 0 ? 0 : xs.length - 1) : at + step, event.currentTarget);
    },
  };
}

/** Recall and NDCG over the length of the list. */
function curvesPart(group) {
  const metrics = [
    ["recall", "Recall@k", "the share of what people really took that is among the first k"],
    ["ndcg", "NDCG@k", "the same, counting more what stands nearer the top"],
  ];
  return metrics.map(([metric, name, meaning]) => {
    const lines = group.series.map((series) => ({ series, points: series.curve(metric) }));
    if (lines.every(({ points }) => points.length === 0)) return null;
    const chart = lineChart({
      title: `${name} of every model against the length of the list`,
      description: `Left and right arrow keys read the values. The same values stand in the table beneath.`,
      yTitle: `${name} · better ↑`,
      xTitle: "k, length of the list",
      lines,
      isLog: true,
    });
    const ks = [...new Set(lines.flatMap(({ points }) => points.map(([k]) => k)))].sort((a, b) => a - b);
    const rows = lines.map(({ series, points }) => [named(series), ...ks.map((k) => decimals(points.find(([one]) => one === k)?.[1]))]);
    return el(
      "div",
      { class: "chart" },
      el("h3", {}, name, el("small", {}, meaning)),
      chart,
      el("details", { class: "quiet is-for-screens" }, el("summary", {}, `${name} as a table`), table(`${name} by model`, ["Model", ...ks.map((k) => `@${k}`)], rows)),
    );
  });
}
