// Turns values of the API into words, numbers and colours for people.

const ARTICLES = "The|A|An|Les|Le|La|L'|Los|Las|El|Il|Lo|Der|Die|Das|Een|Den|Det";
const TITLE_YEAR = /^(.+?) \((\d{4})\)\s*$/;
const MOVED_ARTICLE = new RegExp(`^(.+), (${ARTICLES})$`);

/**
 * {title, year} of an item. Some catalogues write "Lion King, The (1994)";
 * only that pattern, a year in brackets at the end, is taken apart, and only
 * then is the article put back in front. All other titles are left alone.
 */
export function nameOf(item) {
  const title = item.title == null || item.title === "" ? `Item ${item.item_id}` : String(item.title);
  const year = item.year == null || item.year === "" ? null : String(item.year);
  const match = TITLE_YEAR.exec(title);
  if (!match || (year !== null && year !== match[2])) return { title, year };
  const moved = MOVED_ARTICLE.exec(match[1]);
  if (!moved) return { title: match[1], year: match[2] };
  const space = moved[2].endsWith("'") ? "" : " ";
  return { title: `${moved[2]}${space}${moved[1]}`, year: match[2] };
}

export const titleOf = (item) => nameOf(item).title;

/** The genres as a list; "A|B" is split and "(no genres listed)" dropped. */
export function genresOf(item) {
  const raw = item.genres ?? item.genre ?? [];
  const list = Array.isArray(raw) ? raw : String(raw).split("|");
  return list.map(String).filter((genre) => genre && !/^\(.*\)$/.test(genre));
}

// Everything the page already shows in a place of its own.
const SHOWN = new Set(
  ("item_id title genres genre year score rank reasons attributions moves popularity liked disliked timestamp " +
    "contribution weight label").split(" "),
);

/** [name, text] of the catalogue's further display columns. */
export function extrasOf(item) {
  return Object.entries(item)
    .filter(([key, value]) => !SHOWN.has(key) && value != null && value !== "" && !isRecord(value))
    .map(([key, value]) => [words(key), Array.isArray(value) ? value.join(", ") : cell(value)]);
}

/**
 * The words that give an item its colours: its genres, or in a catalogue
 * without genres a short display column such as a category, or its title.
 */
export function kindsOf(item) {
  const genres = genresOf(item);
  if (genres.length) return genres;
  const short = extrasOf(item).find(([, text]) => text.length <= 24);
  return [short ? short[1] : titleOf(item)];
}

export const isRecord = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** "num_items" -> "num items" */
export const words = (key) => String(key).replaceAll("_", " ");

/** A value of unknown kind, in a table cell or a small label. */
export function cell(value) {
  if (typeof value === "number") return number(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (value == null) return "–";
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

/** Whole numbers with thousands marks, others to about three figures. */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 100) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  return String(Number(value.toPrecision(3)));
}

/** A score: two decimals, more where two would print 0.00. */
export function score(value) {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 0.1 || value === 0 ? value.toFixed(2) : value.toPrecision(2);
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0.001) return `${Math.max(1, Math.round(seconds * 1e6))} µs`;
  if (seconds < 1) return `${number(Number((seconds * 1000).toPrecision(2)))} ms`;
  if (seconds < 90) return `${Number(seconds.toPrecision(3))} s`;
  return `${Number((seconds / 60).toPrecision(3))} min`;
}

/** A day, from seconds or milliseconds since 1970; null when it is neither. */
export function day(timestamp) {
  const value = Number(timestamp);
  if (timestamp == null || !Number.isFinite(value) || value <= 0) return null;
  const date = new Date(value < 1e11 ? value * 1000 : value);
  return date.toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

export const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/**
 * A hue (0-350) that is always the same for the same word, so that a genre
 * keeps its colour on every card. FNV-1a with a start value that spreads
 * common genre words well.
 */
export function hueOf(word) {
  let hash = 616;
  for (const letter of String(word).toLowerCase()) {
    hash = Math.imul(hash ^ letter.codePointAt(0), 16777619) >>> 0;
  }
  hash ^= hash >>> 15;
  return ((hash >>> 0) % 36) * 10;
}
