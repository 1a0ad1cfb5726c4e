// The map one can move: what is in view, and how pointer, wheel and keys change it.
import { nearest } from "/static/mapdata.js";
import { painterFor } from "/static/mapgl.js";

const REACH = 14; // px from the pointer to the item meant
const FLIGHT = 650; // ms
const MOST = 400; // times the scale at which all is in view
const ease = (t) => (t < 0.5 ? 4 * t ** 3 : 1 - (-2 * t + 2) ** 3 / 2);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class MapCanvas {
  /**
   * on: {frame(view), settle(view, byKey), hover(place or -1, left, top), pick(place)}.
   * A view is {x, y, scale (px a unit), width, height, pixels (device px a px)}.
   */
  constructor(canvas, points, on) {
    Object.assign(this, { canvas, points, on, look: null, pointers: new Map(), flight: 0, waiting: 0, timer: 0 });
    let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < points.count; i += 1) {
      left = Math.min(left, points.places[2 * i]);
      right = Math.max(right, points.places[2 * i]);
      low = Math.min(low, points.places[2 * i + 1]);
      high = Math.max(high, points.places[2 * i + 1]);
    }
    this.box = { left, right, low, high };
    this.view = { x: (left + right) / 2, y: (low + high) / 2, scale: 1, width: 1, height: 1, pixels: 1 };
    this.painter = painterFor(canvas, points);
    this.ending = new AbortController();
    const listen = (name, act, options) => canvas.addEventListener(name, act.bind(this), { signal: this.ending.signal, ...options });
    listen("pointerdown", this.onDown);
    listen("pointermove", this.onMove);
    listen("pointerup", this.onUp);
    listen("pointercancel", this.onUp);
    listen("pointerleave", () => on.hover(-1));
    listen("wheel", this.onWheel, { passive: false });
    listen("dblclick", (event) => this.zoomAt(2, event.offsetX, event.offsetY));
    listen("keydown", this.onKey);
    listen("webglcontextlost", (event) => event.preventDefault());
    listen("webglcontextrestored", () => { this.painter = painterFor(canvas, this.points); this.redraw(); });
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(canvas);
  }

  destroy() {
    this.ending.abort();
    this.sizes.disconnect();
    cancelAnimationFrame(this.flight);
    cancelAnimationFrame(this.waiting);
    clearTimeout(this.timer);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    const whole = this.view.width === 1 || this.view.scale === this.wholeScale();
    const pixels = Math.min(devicePixelRatio || 1, 2);
    Object.assign(this.canvas, { width: Math.round(width * pixels), height: Math.round(height * pixels) });
    Object.assign(this.view, { width, height, pixels });
    if (whole) this.view.scale = this.wholeScale();
    this.paint();
    this.settleSoon();
  }

  wholeScale() {
    const { left, right, low, high } = this.box;
    return 0.92 * Math.min(this.view.width / Math.max(right - left, 1e-6), this.view.height / Math.max(high - low, 1e-6));
  }

  paint() {
    this.waiting = 0;
    if (!this.look || this.view.width === 1) return;
    const { view, points } = this;
    const base = clamp(Math.sqrt((view.width * view.height) / points.count) * 0.62, 1.7, 7);
    const size = Math.min(16, base * clamp(view.scale / this.wholeScale(), 0.5, MOST) ** 0.42);
    this.painter.draw(view, { ...this.look, size });
    this.on.frame(view);
  }

  redraw(look = this.look) {
    this.look = look;
    this.waiting ||= requestAnimationFrame(() => this.paint());
  }

  /** Other weights, from 0 to 1, for size and colour. */
  weigh(weights) {
    this.points = { ...this.points, weights };
    this.painter.setWeights(weights);
  }

  settleSoon(byKey = false) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.on.settle(this.view, byKey), 140);
  }

  move(change, byKey = false) {
    cancelAnimationFrame(this.flight);
    const { left, right, low, high } = this.box;
    Object.assign(this.view, change);
    this.view.x = clamp(this.view.x, left, right);
    this.view.y = clamp(this.view.y, low, high);
    this.redraw();
    this.settleSoon(byKey);
  }

  zoomAt(factor, left = this.view.width / 2, top = this.view.height / 2, byKey = false) {
    const { x, y, scale, width, height } = this.view;
    const whole = this.wholeScale();
    const next = clamp(scale * factor, whole * 0.6, whole * MOST);
    const shift = 1 / scale - 1 / next;
    this.move({ scale: next, x: x + (left - width / 2) * shift, y: y - (top - height / 2) * shift }, byKey);
  }

  /** Glides to a place; a long way first rises, so that one sees where it goes. */
  flyTo(x, y, scale) {
    const from = { ...this.view };
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (still) return this.move({ x, y, scale });
    const far = (Math.hypot(x - from.x, y - from.y) * Math.min(scale, from.scale)) / from.width;
    const rise = Math.log(1 + clamp(far - 0.5, 0, 6));
    const began = performance.now();
    const step = (now) => {
      const t = clamp((now - began) / FLIGHT, 0, 1);
      const part = ease(t);
      const logScale = Math.log(from.scale) + (Math.log(scale) - Math.log(from.scale)) * part - rise * Math.sin(Math.PI * t);
      Object.assign(this.view, { x: from.x + (x - from.x) * part, y: from.y + (y - from.y) * part, scale: Math.exp(logScale) });
      this.paint();
      if (t < 1) this.flight = requestAnimationFrame(step);
      else this.settleSoon();
    };
    cancelAnimationFrame(this.flight);
    this.flight = requestAnimationFrame(step);
    return undefined;
  }

  showAll() {
    const { left, right, low, high } = this.box;
    this.flyTo((left + right) / 2, (low + high) / 2, this.wholeScale());
  }

  /** Brings some places [[x, y], …] into view together. */
  frame(places) {
    const [xs, ys] = [places.map(([x]) => x), places.map(([, y]) => y)];
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const whole = this.wholeScale();
    const fit = 0.7 * Math.min(this.view.width / Math.max(right - left, 1e-6), this.view.height / Math.max(high - low, 1e-6));
    this.flyTo((left + right) / 2, (low + high) / 2, clamp(fit, whole, whole * 3));
  }

  /** The item meant by a point of the canvas, or -1. */
  under(left, top) {
    const { x, y, scale, width, height } = this.view;
    return nearest(this.points, x + (left - width / 2) / scale, y - (top - height / 2) / scale, 1, REACH / scale)[0] ?? -1;
  }

  onDown(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    this.moved = this.pointers.size > 1 ? Infinity : 0;
  }

  onMove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.on.hover(this.under(event.offsetX, event.offsetY), event.offsetX, event.offsetY);
      return;
    }
    const now = [event.offsetX, event.offsetY];
    this.moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (this.moved < 5) return; // a click with an unquiet hand
    this.on.hover(-1);
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    const { x, y, scale } = this.view;
    const share = other ? 0.5 : 1; // of two fingers each moves half
    this.move({ x: x - (share * (now[0] - before[0])) / scale, y: y + (share * (now[1] - before[1])) / scale });
    if (!other) return;
    const spread = ([left, top]) => Math.max(8, Math.hypot(left - other[0], top - other[1]));
    this.zoomAt(spread(now) / spread(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  }

  onUp(event) {
    const place = this.moved < 5 && event.type === "pointerup" ? this.under(event.offsetX, event.offsetY) : -1;
    this.pointers.delete(event.pointerId);
    if (place >= 0) this.on.pick(place);
  }

  onWheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 18 : 1);
    this.zoomAt(Math.exp(-clamp(pixels, -240, 240) * (event.ctrlKey ? 0.01 : 0.0022)), event.offsetX, event.offsetY);
  }

  onKey(event) {
    const step = 70 / this.view.scale;
    const { x, y } = this.view;
    const acts = {
      ArrowLeft: () => this.move({ x: x - step }, true),
      ArrowRight: () => this.move({ x: x + step }, true),
      ArrowUp: () => this.move({ y: y + step }, true),
      ArrowDown: () => this.move({ y: y - step }, true),
      "+": () => this.zoomAt(1.5, undefined, undefined, true),
      "=": () => this.zoomAt(1.5, undefined, undefined, true),
      "-": () => this.zoomAt(1 / 1.5, undefined, undefined, true),
      0: () => this.showAll(),
      Enter: () => this.on.pick(nearest(this.points, x, y, 1)[0]),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  }
}
