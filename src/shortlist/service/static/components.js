// The small parts that every view is made of.
import {
  createContext, html, useContext, useEffect, useLayoutEffect, useRef,
} from "/static/vendor/preact-htm.js";
import { extrasOf, genresOf, hueOf, kindsOf, nameOf, score as scoreText, titleOf, words } from "/static/text.js";

/** {taste, openItem, announce}: what any part of the page may need. */
export const Page = createContext(null);
export const usePage = () => useContext(Page);

/*
 * Custom properties (--hue, --part) are set through the DOM from style objects.
 * A Content-Security-Policy without 'unsafe-inline' allows that; it forbids
 * style attributes in HTML text, of which the page has none.
 */

const ICONS = {
  like: html`<path d="M7 10.5v9.5H4v-9.5zM7 10.5l4.2-7.3c1.6.1 2.6 1.4 2.3 3L12.8 9.3h5.9c1.3 0 2.2 1.1 2 2.4l-1 6.3c-.2 1.2-1.1 2-2.3 2H7" />`,
  dislike: html`<path transform="rotate(180 12 12)" d="M7 10.5v9.5H4v-9.5zM7 10.5l4.2-7.3c1.6.1 2.6 1.4 2.3 3L12.8 9.3h5.9c1.3 0 2.2 1.1 2 2.4l-1 6.3c-.2 1.2-1.1 2-2.3 2H7" />`,
  similar: html`<circle cx="9" cy="12" r="6" /><circle cx="15" cy="12" r="6" />`,
  remove: html`<path d="M6.5 6.5l11 11M17.5 6.5l-11 11" />`,
  back: html`<path d="M11 5.5L4.5 12l6.5 6.5M5 12h15" />`,
  search: html`<circle cx="10.5" cy="10.5" r="6.5" /><path d="M15.5 15.5L21 21" />`,
  sun: html`<circle cx="12" cy="12" r="4" /><path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4" />`,
  moon: html`<path d="M20 14.2A8.2 8.2 0 0 1 9.8 4a8.2 8.2 0 1 0 10.2 10.2z" />`,
  plus: html`<path d="M12 5v14M5 12h14" />`,
  minus: html`<path d="M5 12h14" />`,
  whole: html`<path d="M4.5 9.5v-5h5M14.5 4.5h5v5M19.5 14.5v5h-5M9.5 19.5h-5v-5" />`,
  map: html`<path d="M9 4.5L3.5 6.5v13L9 17.5l6 2 5.5-2v-13L15 6.5zM9 4.5v13M15 6.5v13" />`,
  pause: html`<path d="M9 6v12M15 6v12" />`,
  play: html`<path d="M8 5.5v13l10.5-6.5z" />`,
  dice: html`<rect x="4" y="4" width="16" height="16" rx="4" /><path d="M9 9h.01M15 15h.01M15 9h.01M9 15h.01" />`,
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;
}

/** A band of colour per genre: the mark by which an item is known at a glance. */
export function Spine({ item }) {
  const hues = kindsOf(item).slice(0, 5).map(hueOf);
  return html`<span class="spine" aria-hidden="true">
    ${hues.map((hue, place) => html`<i key=${place} style=${{ "--hue": hue }}></i>`)}
  </span>`;
}

export function GenreChips({ item, most = 4 }) {
  const genres = genresOf(item);
  const extras = extrasOf(item).slice(0, 2);
  if (!genres.length && !extras.length) return null;
  return html`<ul class="chips" role="list">
    ${genres.slice(0, most).map((genre) => html`
      <li key=${genre} class="chip" style=${{ "--hue": hueOf(genre) }}>${genre}</li>`)}
    ${genres.length > most && html`
      <li class="chip is-plain" title=${genres.slice(most).join(", ")}>+${genres.length - most}</li>`}
    ${extras.map(([name, text]) => html`
      <li key=${name} class="chip is-plain"><span class="chip-name">${name}</span> ${text}</li>`)}
  </ul>`;
}

/** The title, with the year behind it; it opens the item's drawer. */
export function ItemTitle({ item, tabIndex }) {
  const { openItem } = usePage();
  const { title, year } = nameOf(item);
  return html`<button type="button" class="title-button" data-action="open" data-item-id=${item.item_id}
    tabindex=${tabIndex} onClick=${() => openItem(item)}>${title}${year && html` <span class="year">${year}</span>`}</button>`;
}

/** One round button about one item; a chosen like or dislike can be taken back. */
export function ActionButton({ action, item, onClick, tabIndex }) {
  const { taste, rate, openItem } = usePage();
  const title = titleOf(item);
  const pressed = taste.verdictOf(item.item_id) === action;
  const acts = {
    like: [`Like ${title}`, () => rate(item, pressed ? null : "like")],
    dislike: [`Dislike ${title}`, () => rate(item, pressed ? null : "dislike")],
    similar: [`More like ${title}`, () => openItem(item)],
    remove: [`Remove ${title} from your taste`, () => rate(item, null)],
  };
  const [label, act] = acts[action];
  const toggles = action === "like" || action === "dislike";
  return html`<button type="button" class=${`act act-${action}`} data-action=${action}
    data-item-id=${item.item_id} aria-label=${label} title=${label} tabindex=${tabIndex}
    aria-pressed=${toggles ? String(pressed) : undefined} onClick=${onClick ?? act}>
    <${Icon} name=${action} />
  </button>`;
}

export function Actions({ item, similar = true, tabIndex }) {
  return html`<div class="acts">
    <${ActionButton} action="like" item=${item} tabIndex=${tabIndex} />
    <${ActionButton} action="dislike" item=${item} tabIndex=${tabIndex} />
    ${similar && html`<${ActionButton} action="similar" item=${item} tabIndex=${tabIndex} />`}
  </div>`;
}

/** A card without a picture: colour from the genres, the title as the image. */
export function ItemCard({ item }) {
  const { taste } = usePage();
  const { year } = nameOf(item);
  const genres = genresOf(item);
  const small = genres.length ? genres.slice(0, 3) : extrasOf(item).slice(0, 2).map(([, text]) => text);
  return html`<li class="card" data-item-id=${item.item_id} data-verdict=${taste.verdictOf(item.item_id)}
    style=${{ "--hue": hueOf(kindsOf(item)[0]) }}>
    <${Spine} item=${item} />
    ${year && html`<span class="card-year">${year}</span>`}
    <${CardTitle} item=${item} />
    <span class="card-genres">${small.join(" · ")}</span>
    <${Actions} item=${item} similar=${false} />
  </li>`;
}

function CardTitle({ item }) {
  const { openItem } = usePage();
  const title = titleOf(item);
  const size = title.length > 34 ? "is-long" : title.length > 18 ? "is-medium" : "is-short";
  return html`<button type="button" class=${`card-title ${size}`} data-action="open"
    data-item-id=${item.item_id} onClick=${() => openItem(item)}>${title}</button>`;
}

/** part: 0 to 1, how full the bar is; the number beside it is the real score. */
export function ScoreBar({ value, part, hint }) {
  return html`<div class="score" title=${hint}>
    <span class="score-track" aria-hidden="true">
      <span class="score-fill" style=${{ "--part": part }}></span>
    </span>
    <span class="score-number"><span class="sr-only">Score </span>${scoreText(value)}</span>
  </div>`;
}

/** Maps a list's scores to bar lengths: the best is full, the last still seen. */
export function barScale(items) {
  const scores = items.map((item) => item.score).filter(Number.isFinite);
  const high = Math.max(...scores);
  const low = Math.min(...scores);
  return (value) => (high > low ? 0.14 + 0.86 * ((value - low) / (high - low)) : 1);
}

export function Reasons({ reasons, who = "you" }) {
  const { openItem } = usePage();
  const raising = (reasons ?? []).filter((reason) => !(reason.contribution <= 0));
  const best = raising.filter((reason) => reason.item_id != null).slice(0, 2).map(({ item_id, title }) => ({ item_id, title }));
  if (!best.length) return raising.length ? html`<p class="reasons">because of ${words(raising[0].feature ?? "the time")}</p>` : null;
  return html`<p class="reasons"><span>because ${who} liked </span>${best.map((reason, place) => html`
    ${place > 0 && html`<span> and </span>`}<button type="button" class=${titleOf(reason).length > 20 ? "link reason is-long" : "link reason"}
      key=${reason.item_id} title=${titleOf(reason)} onClick=${() => openItem(reason)}>${titleOf(reason)}</button>`)}</p>`;
}

/** A failure in words, with a way to try again. */
export function Problem({ error, retry, children }) {
  return html`<div class="problem" role="alert">
    <p><strong>${error.title || "That did not work"}.</strong> ${error.message !== error.title && error.message}</p>
    <p class="problem-acts">
      ${retry && html`<button type="button" class="button" onClick=${retry}>Try again</button>`}
      ${children}
    </p>
  </div>`;
}

/** options: [value, label]; a row of buttons of which one is pressed. */
export function Choice({ label, value, options, onChoose }) {
  return html`<div class="choice" role="group" aria-label=${label}><span aria-hidden="true">${label}</span>
    ${options.map(([option, text]) => html`<button key=${option} type="button" data-choice=${option} aria-pressed=${String(option === value)}
      onClick=${() => onChoose(option)}>${text}</button>`)}
  </div>`;
}

/** Grey shapes of the coming content, so that nothing jumps when it arrives. */
export function Skeleton({ count, kind = "row" }) {
  return html`<div class=${`skeletons is-${kind}`} aria-hidden="true">
    ${Array.from({ length: count }, (_, place) => html`<div key=${place} class="skeleton"></div>`)}
  </div>`;
}

/**
 * A focused button may leave with its row (a liked item is no longer
 * recommended) or lose the focus when its row moves. The focus then goes to
 * the same item, or to the row that took its place, and not back to the top.
 */
export function useKeptFocus(list, items) {
  const last = useRef(null);
  useEffect(() => {
    const onFocusIn = ({ target }) => {
      const row = target.closest("[data-item-id]:is(li)");
      const place = row ? [...(list.current?.children ?? [])].indexOf(row) : -1;
      last.current = place < 0 ? null : { place, id: row.dataset.itemId, action: target.dataset.action };
    };
    document.addEventListener("focusin", onFocusIn);
    return () => document.removeEventListener("focusin", onFocusIn);
  }, []);
  useLayoutEffect(() => {
    if (!last.current || document.activeElement !== document.body) return;
    const { place, id, action } = last.current;
    const rows = [...(list.current?.children ?? [])];
    const row = rows.find((one) => one.dataset.itemId === id) ?? rows[Math.min(place, rows.length - 1)];
    const button = row?.querySelector(`button[data-action="${action}"]`) ?? row?.querySelector("button");
    button?.focus({ preventScroll: true });
  }, [items]);
}

/** Lets the rows of a list glide to their new places instead of jumping. */
export function useGlide(list, items) {
  const places = useRef(new Map());
  useLayoutEffect(() => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const now = new Map();
    for (const row of list.current?.children ?? []) {
      const before = places.current.get(row.dataset.itemId);
      now.set(row.dataset.itemId, row.offsetTop);
      if (still || places.current.size === 0 || before === row.offsetTop) continue;
      const from = before === undefined
        ? { opacity: 0 }
        : { transform: `translateY(${before - row.offsetTop}px)` };
      row.animate([from, { opacity: 1, transform: "none" }], { duration: 320, easing: "cubic-bezier(.2,.7,.2,1)" });
    }
    places.current = now;
  }, [items]);
}
