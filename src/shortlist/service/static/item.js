// The drawer: one item and its nearest neighbours, from which one can walk on.
import { html, useEffect, useLayoutEffect, useRef } from "/static/vendor/preact-htm.js";
import { similarItems, useResource } from "/static/api.js";
import {
  ActionButton, Actions, GenreChips, Icon, ItemTitle, Problem, ScoreBar, Skeleton, Spine, barScale,
} from "/static/components.js";
import { extrasOf, genresOf, hueOf, kindsOf, nameOf, number, titleOf } from "/static/text.js";

const K = 10;

/** All that is known of the item, in small print. */
function Facts({ item }) {
  const facts = extrasOf(item);
  if (Number.isFinite(item.popularity)) facts.push(["popularity", number(item.popularity)]);
  facts.push(["id", String(item.item_id)]);
  return html`<dl class="facts">
    ${facts.map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}
  </dl>`;
}

function Neighbour({ item, part, heading }) {
  return html`<li class="neighbour" data-item-id=${item.item_id}>
    <${Spine} item=${item} />
    <div class="row-body">
      <${heading} class="row-title"><${ItemTitle} item=${item} /><//>
      <${GenreChips} item=${item} most=${3} />
    </div>
    <${Actions} item=${item} similar=${false} />
    <${ScoreBar} value=${item.score} part=${part} hint="The bar compares the scores of this list" />
  </li>`;
}

/** resource: what useResource gave for the similar items; heading: of each, one level below the one above. */
export function Neighbours({ resource, heading = "h4" }) {
  const { data, error, loading, retry } = resource;
  const items = data?.items ?? [];
  const part = barScale(items);
  if (error) return html`<${Problem} error=${error} retry=${retry} />`;
  if (!data) return html`<${Skeleton} count=${6} />`;
  if (!items.length) return html`<p class="empty">No neighbours are known for this one.</p>`;
  return html`<ol class="neighbours" role="list" aria-busy=${String(loading)}>
    ${items.map((item) => html`<${Neighbour} key=${String(item.item_id)} item=${item} part=${part(item.score)} heading=${heading} />`)}
  </ol>`;
}

/** Mounted anew for each item, so that no neighbour of the last one lingers. */
function ItemPanel({ item: given, previous, onBack, onClose }) {
  const resource = useResource((signal) => similarItems(given.item_id, K, signal), []);
  const item = { ...given, ...resource.data?.item };
  const { title, year } = nameOf(item);
  const heading = useRef(null);
  useEffect(() => heading.current?.focus(), []);
  return html`<div class="drawer-panel">
    <header class="drawer-head" style=${{ "--hue": hueOf(kindsOf(item)[0]) }}>
      <div class="drawer-bar">
        ${previous
          ? html`<button type="button" class="link drawer-back" data-action="back" onClick=${onBack}>
              <${Icon} name="back" /> <span>${titleOf(previous)}</span></button>`
          : html`<span></span>`}
        <button type="button" class="act" data-action="close" aria-label="Close" title="Close" onClick=${onClose}>
          <${Icon} name="remove" /></button>
      </div>
      <${Spine} item=${item} />
      <h2 id="drawer-title" ref=${heading} tabindex="-1">${title} ${year && html`<span class="year">${year}</span>`}</h2>
      <${GenreChips} item=${{ genres: genresOf(item) }} most=${8} />
      <div class="drawer-acts">
        <${LabelledAction} action="like" item=${item} word="Like" />
        <${LabelledAction} action="dislike" item=${item} word="Dislike" />
      </div>
      <${Facts} item=${item} />
      <p class="drawer-links"><a class="link" href=${`#/items/${encodeURIComponent(String(item.item_id))}`}>Its page: past and audience</a>
        <a class="link" href=${`#/map/item/${encodeURIComponent(String(item.item_id))}`}>On the map</a></p>
    </header>
    <section class="drawer-list" aria-labelledby="neighbours-title">
      <h3 id="neighbours-title">More like this</h3>
      <${Neighbours} resource=${resource} />
    </section>
  </div>`;
}

function LabelledAction({ action, item, word }) {
  return html`<span class="labelled"><${ActionButton} action=${action} item=${item} /><span aria-hidden="true">${word}</span></span>`;
}

/**
 * trail: the items walked through, the last one shown; empty when closed.
 * A modal <dialog> brings the focus trap, Escape and the way back of the focus.
 */
export function ItemDrawer({ trail, onBack, onClose }) {
  const dialog = useRef(null);
  const item = trail.at(-1);
  const isOpen = item !== undefined;
  // Before the panel's own effect, which moves the focus to the heading.
  useLayoutEffect(() => {
    if (isOpen && !dialog.current.open) dialog.current.showModal();
    if (!isOpen && dialog.current.open) dialog.current.close();
  }, [isOpen]);
  // The button that opened the drawer may have left with its row.
  useEffect(() => {
    if (!isOpen) return undefined;
    return () => {
      if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
    };
  }, [isOpen]);
  useEffect(() => {
    dialog.current.scrollTop = 0;
  }, [item]);
  // The dialog itself is only hit beside its panel: on the dimmed page.
  const onClick = (event) => {
    if (event.target === dialog.current) onClose();
  };
  return html`<dialog id="item-drawer" ref=${dialog} class="drawer" aria-labelledby=${item ? "drawer-title" : undefined}
    onClose=${onClose} onClick=${onClick}>
    ${item && html`<${ItemPanel} key=${`${trail.length}:${item.item_id}`} item=${item} previous=${trail.at(-2)}
      onBack=${onBack} onClose=${onClose} />`}
  </dialog>`;
}
