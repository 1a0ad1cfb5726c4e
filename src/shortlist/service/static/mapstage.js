// The stage: the canvas, what is written and marked on it, the tip, the legend.
import { html, useEffect, useLayoutEffect, useRef, useState } from "/static/vendor/preact-htm.js";
import { Icon } from "/static/components.js";
import { MapCanvas } from "/static/mapcanvas.js";
import { coloursOf, itemAt, itemsAt } from "/static/mapdata.js";
import { genresOf, hueOf, nameOf, plural, titleOf, words } from "/static/text.js";

const LABEL = { width: 150, height: 44 }; // px of the map that one title keeps for itself
const MOST_LABELS = 16;

/** The most popular items in view whose titles touch neither each other nor what is marked. */
function labelled({ points, byPopularity }, view, marked) {
  const chosen = [];
  const taken = marked.map(({ x, y }) => ({ left: (x - view.x) * view.scale + view.width / 2, top: (view.y - y) * view.scale + view.height / 2 }));
  const most = Math.min(MOST_LABELS, Math.floor((view.width * view.height) / (LABEL.width * LABEL.height * 3)));
  for (let n = 0; n < byPopularity.length && chosen.length < most; n += 1) {
    const place = byPopularity[n];
    const left = (points.places[2 * place] - view.x) * view.scale + view.width / 2;
    const top = (view.y - points.places[2 * place + 1]) * view.scale + view.height / 2;
    if (left < 60 || left > view.width - 60 || top < 16 || top > view.height - 28) continue;
    if (chosen.some((one) => Math.abs(one.left - left) < LABEL.width && Math.abs(one.top - top) < LABEL.height)) continue;
    // a title stands below its point
    if (taken.some((one) => Math.abs(one.left - left) < LABEL.width / 2 && one.top - top > -20 && one.top - top < 36)) continue;
    chosen.push({ place, left, top });
  }
  return chosen.map(({ place }) => place);
}

/** Puts everything with a place on the map to where that place is now. */
function follow(layer, { x, y, scale, width, height }) {
  const left = (value) => (value - x) * scale + width / 2;
  const top = (value) => (y - value) * scale + height / 2;
  for (const mark of layer?.querySelectorAll("[data-x]") ?? []) {
    mark.style.transform = `translate(${left(Number(mark.dataset.x))}px, ${top(Number(mark.dataset.y))}px)`;
  }
  for (const line of layer?.querySelectorAll("line") ?? []) {
    const { x1, y1, x2, y2 } = line.dataset;
    for (const [name, at] of [["x1", left(x1)], ["y1", top(y1)], ["x2", left(x2)], ["y2", top(y2)]]) line.setAttribute(name, at);
  }
}

function Marks({ landing, found, labels }) {
  const taken = new Set([...(landing?.items ?? []).map((item) => item.place), found?.place]);
  return html`
    ${landing && html`<svg class="map-lines">${landing.items.map((item) => html`
      <line key=${item.place} data-x1=${landing.x} data-y1=${landing.y} data-x2=${item.x} data-y2=${item.y} />`)}</svg>`}
    ${labels.filter((item) => !taken.has(item.place)).map((item) => html`
      <span key=${`label${item.place}`} class="map-label" data-x=${item.x} data-y=${item.y}><b>${titleOf(item)}</b></span>`)}
    ${landing?.history.map((item) => html`<i key=${`past${item.place}`} class="map-past" data-x=${item.x} data-y=${item.y}></i>`)}
    ${landing?.items.map((item, n) => html`
      <span key=${`next${item.place}`} class="map-next" data-x=${item.x} data-y=${item.y}><b>${n + 1}</b></span>`)}
    ${landing && html`<span class="map-query" data-x=${landing.x} data-y=${landing.y}><b>${landing.name}</b></span>`}
    ${found && html`<span class="map-found" data-x=${found.x} data-y=${found.y}><b>${titleOf(found)}</b></span>`}`;
}

function Tip({ hover, width }) {
  const item = hover && itemAt(hover.place);
  if (!item) return null;
  const { title, year } = nameOf(item);
  const right = hover.left > width / 2; // of the pointer there is more room on the left
  const style = { top: `${hover.top}px`, ...(right ? { right: `${width - hover.left}px` } : { left: `${hover.left}px` }) };
  return html`<div class="map-tip" style=${style}>
    <strong>${title}</strong>${year && html` <span class="year">${year}</span>`}
    <span class="map-tip-tags">${genresOf(item).join(" · ")}</span>
    <span class="map-tip-tags">${plural(item.popularity, "like")}</span>
  </div>`;
}

function Legend({ about, colour, lit, onLit }) {
  if (colour !== "tags") {
    const [low, high] = colour === "fit" ? ["fits less", "fits best"] : ["few likes", "many"];
    return html`<p class="legend-ramp"><span>${low}</span><i aria-hidden="true"></i><span>${high}</span></p>`;
  }
  return html`<ul class="legend" role="list" aria-label=${`Colours: ${words(about.feature)}`}>
    ${about.legend.map(({ value, count }, bit) => html`<li key=${value}>
      <button type="button" class="legend-entry" data-action="lit" aria-pressed=${String(lit === bit)} style=${{ "--hue": hueOf(value) }}
        title=${`Show ${value} alone: ${plural(count, "item")}`} onClick=${() => onLit(lit === bit ? -1 : bit)}>${value}</button></li>`)}
    <li><span class="legend-entry is-none">none of these</span></li>
  </ul>`;
}

/** colour: "tags", "popularity" or "fit". control: a ref through which the page moves the map. onCentre(view, byKey): it came to rest. */
export function MapStage({ map, landing, found, colour, control, onCentre, onPick }) {
  const { about, points } = map;
  const [lit, setLit] = useState(-1);
  const [labels, setLabels] = useState([]);
  const [hover, setHover] = useState(null);
  const [canvas, layer] = [useRef(null), useRef(null)];
  const acts = useRef({});
  const marked = [...(landing ? [landing, ...landing.items] : []), ...(found ? [found] : [])];
  acts.current = { onCentre, onPick, marked };

  // Effects run after painting, and the page may have been left by then: no canvas, nothing to do.
  useEffect(() => {
    if (!canvas.current) return undefined;
    const ending = new AbortController();
    const { signal } = ending;
    let over = -1;
    const quiet = (error) => { if (error.name !== "AbortError") setLabels([]); };
    const made = new MapCanvas(canvas.current, points, {
      frame: (view) => follow(layer.current, view),
      settle: (view, byKey) => {
        acts.current.onCentre(view, byKey);
        itemsAt(labelled(map, view, acts.current.marked), signal).then((items) => signal.aborted || setLabels(items), quiet);
      },
      hover: (place, left, top) => {
        if (place === over) return;
        over = place;
        canvas.current.style.cursor = place < 0 ? "" : "pointer";
        if (place < 0) return setHover(null);
        return itemsAt([place], signal).then(() => place === over && setHover({ place, left, top }), quiet);
      },
      pick: (place) => itemsAt([place], signal).then(([item]) => acts.current.onPick(item), quiet),
    });
    control.current = made;
    return () => { ending.abort(); made.destroy(); control.current = null; };
  }, [map]);

  useEffect(() => {
    if (!canvas.current) return undefined;
    const byWeight = colour !== "tags";
    control.current?.weigh(colour === "fit" ? landing.fit : points.weights);
    const recolour = () => {
      if (!canvas.current) return;
      const alpha = points.count > 20_000 ? 0.62 : 0.82;
      control.current?.redraw({ ...coloursOf(about.legend, canvas.current), byWeight, lit: byWeight ? -1 : lit, alpha });
    };
    recolour();
    const theme = new MutationObserver(recolour);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", recolour);
    return () => { theme.disconnect(); system.removeEventListener("change", recolour); };
  }, [map, colour, lit, colour === "fit" && landing]);

  useLayoutEffect(() => {
    if (control.current) follow(layer.current, control.current.view);
  }, [landing, found, labels]);
  useEffect(() => control.current?.settleSoon(), [landing, found]);

  const zoom = (factor) => control.current.zoomAt(factor, undefined, undefined, true);
  return html`<div class="stage">
    <div class="stage-box">
      <canvas ref=${canvas} class="stage-canvas" tabindex="0" role="application" aria-label="Map of all items" data-testid="map"
        aria-describedby="map-help" data-items=${points.count}></canvas>
      <div ref=${layer} class="stage-layer" aria-hidden="true">
        <i class="map-centre"></i>
        <${Marks} landing=${landing} found=${found} labels=${labels} />
        <${Tip} hover=${hover} width=${canvas.current?.clientWidth ?? 0} />
      </div>
      <div class="stage-zoom">
        ${[["plus", "Zoom in", () => zoom(1.8)], ["minus", "Zoom out", () => zoom(1 / 1.8)], ["whole", "Show everything", () => control.current.showAll()]]
          .map(([name, label, act]) => html`<button key=${name} type="button" class="act" data-action=${name} aria-label=${label} title=${label}
            onClick=${act}><${Icon} name=${name} /></button>`)}
      </div>
    </div>
    <${Legend} about=${about} colour=${colour} lit=${lit} onLit=${setLit} />
    <p id="map-help" class="fine">Drag or arrow keys to move, wheel, pinch or + and − to zoom, 0 for everything; click an item, or Enter for the one in the
      middle.</p>
  </div>`;
}
