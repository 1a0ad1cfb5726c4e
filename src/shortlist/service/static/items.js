// Items: the catalogue to search and to filter, and a page for each item.
import { html, useEffect, useState } from "/static/vendor/preact-htm.js";
import { browseItems, getTags, useResource } from "/static/api.js";
import { Icon, ItemCard, Problem, Skeleton, usePage } from "/static/components.js";
import { ItemPage } from "/static/itempage.js";
import { useDebounced } from "/static/searchbox.js";
import { hueOf, number, plural, words } from "/static/text.js";

const PAGE = 36;
const SORTS = [["relevance", "best match"], ["popularity", "most popular"], ["rarity", "least popular"], ["title", "title"]];

// What was asked last: whoever comes back from an item finds the same list.
let last = { text: "", tag: "", sort: "relevance", page: 0 };

function Tags({ chosen, onChoose }) {
  const { data } = useResource((signal) => getTags(40, signal), []);
  const [all, setAll] = useState(false);
  const tags = data?.tags ?? [];
  if (!tags.length) return null;
  const shown = all ? tags : tags.filter(({ value }, n) => n < 14 || value === chosen);
  return html`<ul class="legend" role="list" aria-label=${`Only some ${words(data.feature)}`}>
    ${shown.map(({ value, count }) => html`<li key=${value}>
      <button type="button" class="legend-entry" data-action="tag" data-tag=${value} aria-pressed=${String(value === chosen)}
        style=${{ "--hue": hueOf(value) }} onClick=${() => onChoose(value === chosen ? "" : value)}>
        ${value} <span class="count">${number(count)}</span></button></li>`)}
    ${!all && tags.length > shown.length && html`<li><button type="button" class="link legend-more" data-action="all-tags" onClick=${() => setAll(true)}>all ${tags.length}</button></li>`}
  </ul>`;
}

function Controls({ asked, onAsk }) {
  return html`<form class="browse" role="search" onSubmit=${(event) => event.preventDefault()}>
    <div class="search browse-search">
      <label class="sr-only" for="browse-search">Search titles and columns</label>
      <div class="search-field"><${Icon} name="search" />
        <input id="browse-search" type="text" autocomplete="off" spellcheck=${false} placeholder="Search titles and columns" value=${asked.text}
          onInput=${(event) => onAsk({ text: event.target.value })} /></div>
    </div>
    <label class="browse-sort">Sort by
      <select id="browse-sort" value=${asked.sort} onChange=${(event) => onAsk({ sort: event.target.value })}>
        ${SORTS.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
      </select></label>
    <${Tags} chosen=${asked.tag} onChoose=${(tag) => onAsk({ tag })} />
  </form>`;
}

function Pages({ first, shown, total, onTurn }) {
  return html`<nav class="pages" aria-label="Pages">
    <button type="button" class="button" data-action="previous" disabled=${first === 0} onClick=${() => onTurn(-1)}>Previous</button>
    <span>${number(first + 1)}–${number(first + shown)} of ${number(total)}</span>
    <button type="button" class="button" data-action="next" disabled=${first + shown >= total} onClick=${() => onTurn(1)}>Next</button>
  </nav>`;
}

function Browse() {
  const { announce } = usePage();
  const [asked, setAsked] = useState(last);
  const onAsk = (change) => setAsked((old) => ({ ...old, page: 0, ...change }));
  useEffect(() => { last = asked; }, [asked]);
  const text = useDebounced(asked.text.trim());
  const offset = PAGE * asked.page;
  const { data, error, loading, retry } = useResource(
    (signal) => browseItems({ search: text, tag: asked.tag, sort: asked.sort, limit: PAGE, offset }, signal), [text, asked.tag, asked.sort, offset],
  );
  const items = data?.items ?? [];
  useEffect(() => { if (data) announce(`${plural(data.total, "item")} found.`); }, [data]);
  const turn = (step) => {
    setAsked((old) => ({ ...old, page: old.page + step }));
    scrollTo(0, 0);
  };
  return html`<div class="items">
    <header class="hero is-small"><h1>The catalogue</h1>
      <p data-testid="total">${data ? `${plural(data.total, "item")}${asked.tag ? ` in ${asked.tag}` : ""}${text ? ` for “${text}”` : ""}` : "\u00a0"}</p></header>
    <${Controls} asked=${asked} onAsk=${onAsk} />
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    ${!data && !error && html`<${Skeleton} count=${12} kind="card" />`}
    <ul class="cards" role="list" data-testid="items" aria-busy=${String(loading)}>
      ${items.map((item) => html`<${ItemCard} key=${String(item.item_id)} item=${item} />`)}
    </ul>
    ${data && !items.length && html`<p class="empty">Nothing found. Try fewer words, or another filter.</p>`}
    ${data && data.total > PAGE && html`<${Pages} first=${offset} shown=${items.length} total=${data.total} onTurn=${turn} />`}
  </div>`;
}

export function Items({ itemId }) {
  return itemId == null ? html`<${Browse} key="browse" />` : html`<${ItemPage} key=${itemId} itemId=${itemId} />`;
}
