// Small charts of our own: a line of the last minutes, a curve through measured points, bars beside bars.
import { html, useLayoutEffect, useRef, useState } from "/static/vendor/preact-htm.js";
import { number } from "/static/text.js";

/** "M0,0L1,2": a path through points; a gap where a value is missing. */
function pathOf(points) {
  let pen = "M";
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) {
      pen = "M";
      return "";
    }
    const step = `${pen}${x.toFixed(2)},${y.toFixed(2)}`;
    pen = "L";
    return step;
  }).join("");
}

/** values: oldest first, null where nothing is known; `of` places stand in the width, the newest at the right. */
export function Spark({ values, of, label }) {
  const high = Math.max(...values.filter(Number.isFinite), 0) || 1;
  const x = (n) => 100 - ((values.length - 1 - n) / Math.max(1, of - 1)) * 100;
  const points = values.map((value, n) => [x(n), Number.isFinite(value) ? 23 - (value / high) * 21 : NaN]);
  const line = pathOf(points);
  const known = points.filter(([, y]) => Number.isFinite(y));
  const area = known.length > 1 ? `M${known[0][0].toFixed(2)},24${pathOf(known).replace("M", "L")}L${known.at(-1)[0].toFixed(2)},24Z` : "";
  return html`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="spark-area" d=${area} /><path class="spark-line" d=${line} /></svg>`;
}

/** Round numbers that span a range, about four of them. */
export function ticks(low, high) {
  const step = 10 ** Math.floor(Math.log10((high - low) / 3 || 1));
  const size = [1, 2, 5, 10].map((n) => n * step).find((n) => (high - low) / n <= 4.5) ?? step * 10;
  const found = [];
  for (let tick = Math.ceil(low / size) * size; tick <= high + size / 1e6; tick += size) found.push(Number(tick.toPrecision(12)));
  return found;
}

const HEIGHT = 320;
const EDGE = { left: 64, right: 28, top: 20, bottom: 52 };

/** [ref, width in pixels] of what a chart stands in: drawn to its own size, so that its words stay as large as others. */
function useWidth(first = 640) {
  const box = useRef(null);
  const [width, setWidth] = useState(first);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([{ contentRect }]) => setWidth(Math.max(240, Math.round(contentRect.width))));
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return [box, width];
}

function spanOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}

/**
 * A curve through measured points, in their order: what is bought to the right or left, what it costs downwards.
 * points: {x, y, text}, `here`: {x, y, text} to be marked, or null.
 */
export function Curve({ points, here, xTitle, yTitle, write = number, label }) {
  const [box, whole] = useWidth();
  const [left, right] = spanOf(points.map(({ x }) => x));
  const [low, high] = spanOf(points.map(({ y }) => y));
  const x = (value) => EDGE.left + ((value - left) / (right - left)) * (whole - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  let last = [-99, -99];
  const named = points.filter((point) => { // texts that would lie upon each other are left out
    const free = Math.hypot(x(point.x) - last[0], y(point.y) - last[1]) > 26;
    if (free) last = [x(point.x), y(point.y)];
    return free;
  });
  return html`<div ref=${box}><svg class="curve" viewBox=${`0 0 ${whole} ${HEIGHT}`} role="img" aria-label=${label}>
    ${ticks(low, high).map((tick) => html`<g key=${`y${tick}`}><line class="grid" x1=${EDGE.left} x2=${whole - EDGE.right} y1=${y(tick)} y2=${y(tick)} />
      <text x=${EDGE.left - 10} y=${y(tick) + 4} text-anchor="end">${number(tick)}</text></g>`)}
    ${ticks(left, right).map((tick) => html`<g key=${`x${tick}`}><line class="grid" x1=${x(tick)} x2=${x(tick)} y1=${EDGE.top} y2=${HEIGHT - EDGE.bottom} />
      <text x=${x(tick)} y=${HEIGHT - EDGE.bottom + 20} text-anchor="middle">${write(tick)}</text></g>`)}
    <path class="curve-line" d=${pathOf(points.map((point) => [x(point.x), y(point.y)]))} />
    ${points.map((point) => html`<circle key=${point.text} class="curve-point" cx=${x(point.x)} cy=${y(point.y)} r="4"><title>${point.text}</title></circle>`)}
    ${named.map((point) => html`<text key=${point.text} class="curve-text" x=${x(point.x) + 7} y=${y(point.y) - 7}>${point.text}</text>`)}
    ${here && html`<g class="curve-here"><circle cx=${x(here.x)} cy=${y(here.y)} r="9" /></g>`}
    <text class="axis" x=${(EDGE.left + whole - EDGE.right) / 2} y=${HEIGHT - 8} text-anchor="middle">${xTitle}</text>
    <text class="axis" transform=${`translate(14 ${(HEIGHT - EDGE.bottom + EDGE.top) / 2}) rotate(-90)`} text-anchor="middle">${yTitle}</text>
  </svg></div>`;
}

/** groups: {name, values: [shares]}; series: names of what the values are, with a class each. */
export function Bars({ groups, series, write, label }) {
  const [box, whole] = useWidth();
  const high = Math.max(...groups.flatMap(({ values }) => values.filter(Number.isFinite)), 0.001);
  const margin = 44;
  const room = (whole - margin) / groups.length;
  const width = Math.min(18, (room - 8) / series.length);
  const tall = 170;
  return html`<div ref=${box}><svg class="bars" viewBox=${`0 0 ${whole} ${tall + 30}`} role="img" aria-label=${label}>
    ${ticks(0, high).slice(1).map((tick) => html`<g key=${tick}><line class="grid" x1=${margin} x2=${whole} y1=${tall - (tick / high) * (tall - 16)} y2=${tall - (tick / high) * (tall - 16)} />
      <text class="bars-tick" x=${margin - 8} y=${tall + 4 - (tick / high) * (tall - 16)} text-anchor="end">${write(tick)}</text></g>`)}
    ${groups.map(({ name, values }, place) => html`<g key=${name} transform=${`translate(${margin + place * room + (room - width * series.length) / 2} 0)`}>
      ${values.map((value, n) => Number.isFinite(value) && html`<rect key=${series[n].name} class=${series[n].kind} x=${n * width + 1} width=${width - 2} y=${tall - (value / high) * (tall - 16)}
        height=${(value / high) * (tall - 16)} rx="2"><title>${`${name}, ${series[n].name}: ${write(value)}`}</title></rect>`)}
      <text x=${(width * series.length) / 2} y=${tall + 18} text-anchor="middle">${name}</text></g>`)}
    <line class="base" x1=${margin} x2=${whole} y1=${tall} y2=${tall} />
  </svg></div>`;
}
