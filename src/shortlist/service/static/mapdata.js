// The map's points as typed arrays, and the colours they are painted in.
import { getMap, getMapItems, getMapPoints } from "/static/api.js";
import { hueOf } from "/static/text.js";

/** Of the legend's values the rarest that an item has: it says most. 0: none. */
function kindsOf(tags) {
  return Uint8Array.from(tags, (bits) => 32 - Math.clz32(bits));
}

/** Popularity on a scale from 0 to 1 by its logarithm. */
function weightsOf(popularity) {
  let most = 1;
  for (const count of popularity) most = Math.max(most, count);
  return Float32Array.from(popularity, (count) => Math.log1p(count) / Math.log1p(most));
}

let loaded = null; // kept while the page is open: the points of one recommender do not change

export function loadMap() {
  loaded ??= Promise.all([getMap(), getMapPoints()]).then(([about, bytes]) => {
    const count = about.num_items;
    const popularity = new Uint32Array(bytes, 8 * count, count);
    const tags = new Uint16Array(bytes, 12 * count, count);
    const points = { count, popularity, tags, places: new Float32Array(bytes, 0, 2 * count), kinds: kindsOf(tags), weights: weightsOf(popularity) };
    const byPopularity = Uint32Array.from({ length: count }, (_, i) => i).sort((a, b) => popularity[b] - popularity[a]);
    return { about, points, byPopularity };
  });
  loaded.catch(() => { loaded = null; }); // to be tried again
  return loaded;
}

/** How well each item fits a query, from 0 to 1: by its rank, and bent so that only the best tenth stands out. */
export function fitOf(base64) {
  return Float32Array.from(atob(base64), (letter) => (letter.charCodeAt(0) / 255) ** 6);
}

const known = new Map(); // place -> item, for every item that was looked at

/** The items at some places of the arrays, from here or from the service. */
export async function itemsAt(places, signal) {
  const missing = places.filter((place) => !known.has(place));
  if (missing.length) {
    const { items } = await getMapItems({ places: missing.join(",") }, signal);
    for (const item of items) known.set(item.place, item);
  }
  return places.map((place) => known.get(place));
}

export const itemAt = (place) => known.get(place);

/** One item with its place, by its id. */
export async function itemOf(id, signal) {
  const { items } = await getMapItems({ id: [id] }, signal);
  known.set(items[0].place, items[0]);
  return items[0];
}

/** A custom property as [red, green, blue], whatever CSS writes it in; hue: of those that take one. */
function rgbOf(element, property, hue = 0) {
  element.style.setProperty("--hue", hue);
  element.style.color = `var(${property})`;
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  context.fillStyle = getComputedStyle(element).color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/** {palette, ramp} in the theme in force: the first of the palette is for items without any of the legend's values. */
export function coloursOf(legend, element) {
  const palette = [rgbOf(element, "--dot-none"), ...legend.map(({ value }) => rgbOf(element, "--dot", hueOf(value)))];
  while (palette.length < 17) palette.push(palette[0]);
  return { palette, ramp: ["--ramp-low", "--ramp-mid", "--ramp-high"].map((name) => rgbOf(element, name)) };
}

/** The nearest places to a point of the map, nearest first: 100,000 distances are a fraction of a millisecond. */
export function nearest({ places, count }, x, y, most, within = Infinity) {
  const found = [];
  let limit = within * within;
  for (let i = 0; i < count; i += 1) {
    const dx = places[2 * i] - x;
    const dy = places[2 * i + 1] - y;
    const distance = dx * dx + dy * dy;
    if (distance >= limit) continue;
    let at = found.length;
    while (at > 0 && found[at - 1][0] > distance) at -= 1;
    found.splice(at, 0, [distance, i]);
    if (found.length > most) found.pop();
    if (found.length === most) limit = found[most - 1][0];
  }
  return found.map(([, place]) => place);
}
