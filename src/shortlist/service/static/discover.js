// Discover: someone the model has never seen likes a few items and gets a list.
import { html, useEffect, useRef } from "/static/vendor/preact-htm.js";
import { recommendForTaste, searchItems, useResource } from "/static/api.js";
import {
  ActionButton, Actions, GenreChips, ItemCard, ItemTitle, Problem, Skeleton, Spine, useKeptFocus, usePage,
} from "/static/components.js";
import { Recommendations } from "/static/recommendations.js";
import { SearchBox } from "/static/searchbox.js";
import { plural, titleOf } from "/static/text.js";

const K = 12;
const POPULAR = 24;
const IDEAS = 5;

const ids = (items) => items.map((item) => item.item_id);

function ItemSearch() {
  const { rate } = usePage();
  return html`<${SearchBox} inputId="search" listId="search-results" keepOpen
    label="Search the catalogue" placeholder="Search for something you like"
    help="↑ ↓ to choose, Enter to like, Esc to close"
    find=${(text, signal) => searchItems(text, 20, signal).then((answer) => answer.items ?? [])}
    rowAttributes=${(item) => ({ key: String(item.item_id), "data-item-id": item.item_id })}
    onChoose=${(item) => rate(item, "like")}
    renderRow=${(item, active) => html`<${SearchRow} item=${item} active=${active} />`} />`;
}

function SearchRow({ item, active }) {
  const tabIndex = active ? 0 : -1; // one stop for Tab, not one for every row
  return html`
    <${Spine} item=${item} />
    <div class="popup-main" role="gridcell">
      <${ItemTitle} item=${item} tabIndex=${tabIndex} />
      <${GenreChips} item=${item} most=${3} />
    </div>
    <div role="gridcell"><${Actions} item=${item} similar=${false} tabIndex=${tabIndex} /></div>`;
}

function TasteChip({ item, verdict }) {
  const { openItem } = usePage();
  return html`<li class=${`taste-chip is-${verdict}`} data-item-id=${item.item_id}>
    <${Spine} item=${item} />
    <button type="button" class="title-button" data-action="open" onClick=${() => openItem(item)}>${titleOf(item)}</button>
    <${ActionButton} action="remove" item=${item} />
  </li>`;
}

function TasteGroup({ name, items, verdict }) {
  const list = useRef(null);
  useKeptFocus(list, items);
  return items.length > 0 && html`
    <h3 class="taste-group">${name} <span class="count">${items.length}</span></h3>
    <ul ref=${list} class="taste-chips" role="list">
      ${[...items].reverse().map((item) => html`<${TasteChip} key=${String(item.item_id)} item=${item} verdict=${verdict} />`)}
    </ul>`;
}

function Taste() {
  const { taste, announce } = usePage();
  const { liked, disliked, reset } = taste;
  const any = liked.length + disliked.length > 0;
  const startOver = () => {
    reset();
    announce("Your taste is empty again.");
    document.getElementById("search")?.focus(); // the button that had the focus is gone
  };
  return html`<section id="taste" class="taste" aria-labelledby="taste-title" data-empty=${String(!any)}>
    <div class="section-head">
      <h2 id="taste-title">Your taste</h2>
      ${any && html`<button type="button" class="link" data-action="reset" onClick=${startOver}>Start over</button>`}
    </div>
    ${!any && html`<p class="empty">Nothing rated yet. Your taste stays in this browser.</p>`}
    <${TasteGroup} name="Liked" items=${liked} verdict="like" />
    <${TasteGroup} name="Disliked" items=${disliked} verdict="dislike" />
  </section>`;
}

/** Popular items to choose from before there is any list. */
function Start({ popular }) {
  const { data, error, retry } = popular;
  const items = data?.items ?? [];
  return html`<section class="start" aria-labelledby="start-title">
    <div class="section-head">
      <h2 id="start-title">Or begin with what many people know</h2>
    </div>
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    ${!data && !error && html`<${Skeleton} count=${12} kind="card" />`}
    <ul class="cards" role="list" data-testid="popular">
      ${items.map((item) => html`<${ItemCard} key=${String(item.item_id)} item=${item} />`)}
    </ul>
    ${data && !items.length && html`<p class="empty">The catalogue is empty.</p>`}
  </section>`;
}

/** A few popular items that were not rated yet, to sharpen the list. */
function Ideas({ popular, shown }) {
  const { taste } = usePage();
  const list = useRef(null);
  const listed = new Set(shown.map(String));
  const items = (popular.data?.items ?? [])
    .filter((item) => !taste.verdictOf(item.item_id) && !listed.has(String(item.item_id)))
    .slice(0, IDEAS);
  useKeptFocus(list, taste);
  if (!items.length) return null;
  return html`<section class="ideas" aria-labelledby="ideas-title">
    <div class="section-head"><h2 id="ideas-title">Know any of these?</h2></div>
    <ul ref=${list} class="mini-rows" role="list" data-testid="ideas">
      ${items.map((item) => html`<li key=${String(item.item_id)} class="mini-row" data-item-id=${item.item_id}>
        <${Spine} item=${item} />
        <span class="mini-title"><${ItemTitle} item=${item} /></span>
        <${Actions} item=${item} similar=${false} />
      </li>`)}
    </ul>
  </section>`;
}

function Hero({ started, taste }) {
  if (!started) {
    return html`<header class="hero">
      <h1>What do you like?</h1>
      <p>Name one thing and the shortlist begins; every further like or dislike reshapes it at once.
        The model was never trained on you, and each suggestion says why it is there.</p>
    </header>`;
  }
  const from = [plural(taste.liked.length, "like")];
  if (taste.disliked.length) from.push(plural(taste.disliked.length, "dislike"));
  return html`<header class="hero">
    <h1 id="shortlist-title" tabindex="-1">Your shortlist</h1>
    <p>From ${from.join(" and ")}. Rate anything you see to sharpen it.</p>
  </header>`;
}

export function Discover() {
  const { taste, announce } = usePage();
  const started = taste.liked.length > 0;
  const body = { history: ids(taste.liked), disliked: ids(taste.disliked), k: K, explain: "full" };
  const request = started ? JSON.stringify(body) : null;
  const wasStarted = useRef(started);
  useEffect(() => {
    const begins = started && !wasStarted.current; // and not: a page that comes with a taste, whose first stop skips the header
    wasStarted.current = started;
    if (!begins) return;
    scrollTo(0, 0); // the first like may come from far down the start grid,
    // which is gone now, and with it the button that had the focus
    if (document.activeElement === document.body) document.getElementById("shortlist-title").focus();
  }, [started]);

  const popular = useResource((signal) => searchItems(undefined, POPULAR, signal), []);
  const list = useResource(started ? (signal) => recommendForTaste(body, signal) : null, [request]);

  useEffect(() => {
    const first = list.data?.items?.[0];
    if (first) announce(`${plural(list.data.items.length, "recommendation")} updated. First: ${titleOf(first)}.`);
  }, [list.data]);

  // The side column keeps its place in the tree: the first like must not
  // rebuild the search box that the visitor is typing in.
  return html`<div class=${started ? "discover is-started" : "discover"}>
    <${Hero} started=${started} taste=${taste} />
    <div class="side">
      <${ItemSearch} />
      <${Taste} />
    </div>
    <section class="list" aria-label="Recommendations" aria-live="off">
      ${started
        ? html`<${Recommendations} key="list" resource=${list} count=${K} who="you"
            call=${`POST /v1/recommendations\n\n${request}`}
            emptyText="Nothing to recommend: everything else was filtered out." />`
        : html`<${Start} key="start" popular=${popular} />`}
    </section>
    ${started && html`<${Ideas} popular=${popular} shown=${ids(list.data?.items ?? [])} />`}
  </div>`;
}
