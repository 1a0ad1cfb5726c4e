// Charts in pixels: drawn for the width they get, anew when it changes; marks, labels that keep apart, and the tooltip.

/** A figure that calls draw(width) for its drawing; text stays readable at any width. */
function plane(title, description, draw) {
  const figure = el("figure", { class: "plane" });
  let drawn = 0;
  const redraw = () => {
    const width = Math.round(figure.clientWidth);
    if (width < 1 || width === drawn) return;
    drawn = width;
    const { height, children, ...attributes } = draw(width);
    const drawing = svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": `${title}. ${description}`, ...attributes },
      children,
    );
    figure.replaceChildren(drawing);
  };
  new ResizeObserver(redraw).observe(figure);
  return figure;
}

const ruler = document.createElement("canvas").getContext("2d");

/** How wide a label gets, in pixels. */
function widthOf(text, { size = 13, weight = 600 } = {}) {
  ruler.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
  return ruler.measureText(text).width;
}

/** A mark: the own model round, each baseline in a shape of its own, so that colour is not the only difference. */
function mark(series, x, y, r) {
  const corners = {
    0: [[-1, -1], [1, -1], [1, 1], [-1, 1]],
    1: [[0, -1.3], [1.2, 0.9], [-1.2, 0.9]],
    2: [[0, -1.4], [1.4, 0], [0, 1.4], [-1.4, 0]],
    3: [[0, 1.3], [1.2, -0.9], [-1.2, -0.9]],
    4: [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]],
    5: [[0, -1.3], [1.24, -0.4], [0.76, 1.05], [-0.76, 1.05], [-1.24, -0.4]],
  }[series.paint % 6];
  if (series.own) return svg("circle", { class: "dot", cx: x, cy: y, r: r * 1.2 });
  return svg("polygon", { class: "dot", points: corners.map(([dx, dy]) => `${x + dx * r},${y + dy * r}`).join(" ") });
}

/** Places for labels beside wished heights: in their order, at least a gap apart, between top and bottom. */
function spread(wished, gap, top, bottom) {
  const order = wished.map((y, at) => ({ y, at })).sort((a, b) => a.y - b.y);
  order.forEach((one, place) => {
    one.y = Math.max(one.y, place ? order[place - 1].y + gap : top);
  });
  for (let place = order.length - 1; place >= 0; place -= 1) {
    order[place].y = Math.min(order[place].y, place === order.length - 1 ? bottom : order[place + 1].y - gap);
  }
  const found = [];
  for (const { y, at } of order) found[at] = y;
  return found;
}

/** Lines of the grid with their numbers at the left, and the title of the axis above them. */
function valueAxis(scale, domain, { left, right, title, about = 5 }) {
  const { values, step } = ticks(...domain, about);
  const write = tickText(step);
  return [
    values.map((at) => [
      svg("line", { class: "grid", x1: left, x2: right, y1: scale(at), y2: scale(at) }),
      svg("text", { class: "tick", x: left - 8, y: scale(at) + 4, "text-anchor": "end" }, write(at)),
    ]),
    title && svg("text", { class: "axis-title", x: 0, y: 12 }, title),
  ];
}

const tooltip = document.getElementById("tooltip");
let placedAt = 0; // how far the page was scrolled then: the news of an earlier scroll may come later

/** Show the nodes near a point of the window, inside it. */
function showTooltip(nodes, x, y) {
  tooltip.replaceChildren(...nodes);
  tooltip.hidden = false;
  placedAt = scrollY;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = x + 16 + width > innerWidth - 8 ? x - width - 16 : x + 16;
  tooltip.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  tooltip.style.top = `${Math.max(8, Math.min(y - height / 2, innerHeight - height - 8))}px`;
}

const hideTooltip = () => {
  tooltip.hidden = true;
};
addEventListener("scroll", () => scrollY !== placedAt && hideTooltip(), { passive: true });
addEventListener("keydown", (event) => event.key === "Escape" && hideTooltip());

/** Rows of a tooltip: a heading, then [series, value]. */
function tooltipRows(heading, rows) {
  return [
    el("b", {}, heading),
    el("dl", {}, rows.map(([series, value]) => el("div", {}, el("dt", {}, isRecord(series) ? named(series) : series), el("dd", {}, value)))),
  ];
}
