// The ranked list, for a visitor's taste and for a known user alike.
import { html, useRef } from "/static/vendor/preact-htm.js";
import {
  Actions, GenreChips, ItemTitle, Problem, Reasons, ScoreBar, Skeleton, Spine, barScale, useGlide, useKeptFocus,
} from "/static/components.js";
import { duration, plural, words } from "/static/text.js";
import { Why } from "/static/why.js";

/**
 * For each item of a new list, how far it moved since the list before:
 * 3 (up three), -2 (down two), "new", or 0. Empty for the first list, since
 * "new" on every row would say nothing.
 */
function useMoves(items) {
  const seen = useRef({ items: null, ranks: null, moves: new Map() });
  if (items && seen.current.items !== items) {
    const before = seen.current.ranks;
    const ranks = new Map(items.map((item, place) => [String(item.item_id), item.rank ?? place + 1]));
    const moves = new Map();
    if (before) {
      for (const [id, rank] of ranks) moves.set(id, before.has(id) ? before.get(id) - rank : "new");
    }
    seen.current = { items, ranks, moves };
  }
  return seen.current.moves;
}

function Move({ move }) {
  if (!move) return null;
  if (move === "new") return html`<span class="move is-new">new</span>`;
  const way = move > 0 ? "up" : "down";
  const steps = Math.abs(move);
  return html`<span class=${`move is-${way}`}>
    <span aria-hidden="true">${move > 0 ? "▲" : "▼"}${steps}</span>
    <span class="sr-only">${way} ${steps}</span>
  </span>`;
}

function Row({ item, rank, part, move, who }) {
  return html`<li class="row" data-item-id=${item.item_id} data-rank=${rank}>
    <div class="rank"><span class="rank-number">${rank}</span><${Move} move=${move} /></div>
    <${Spine} item=${item} />
    <div class="row-body">
      <h3 class="row-title"><${ItemTitle} item=${item} /></h3>
      <${GenreChips} item=${item} />
      <${Reasons} reasons=${item.reasons} who=${who} />
    </div>
    <${ScoreBar} value=${item.score} part=${part} hint="The bar compares the scores of this list" />
    <${Actions} item=${item} />
    <${Why} item=${item} />
  </li>`;
}

/** What the service did and how long it took, from the answer's stages. */
function Stages({ stages }) {
  const known = Object.entries(stages ?? {}).filter(([, stage]) => Number.isFinite(stage?.seconds));
  if (!known.length) return null;
  const total = known.reduce((sum, [, stage]) => sum + stage.seconds, 0);
  return html`<p class="stages">
    Answered in <strong>${duration(total)}</strong>
    ${known.map(([name, stage]) => html`<span key=${name} class="stage">
      ${words(name)} ${duration(stage.seconds)}${Number.isFinite(stage.candidates) ? `, ${plural(stage.candidates, "candidate")}` : ""}
    </span>`)}
  </p>`;
}

/** The call that gave this list, to copy into one's own program. */
function Call({ call }) {
  if (!call) return null;
  return html`<details class="call">
    <summary>The API call behind this list</summary>
    <pre tabindex="0"><code>${call}</code></pre>
  </details>`;
}

/** resource: what useResource gave for a recommendations call. */
export function Recommendations({ resource, count, who, call, emptyText }) {
  const { data, error, loading, retry } = resource;
  const items = data?.items;
  const moves = useMoves(items);
  const list = useRef(null);
  useGlide(list, items);
  useKeptFocus(list, items);
  if (error && !items) return html`<${Problem} error=${error} retry=${retry} />`;
  if (!items) return html`<${Skeleton} count=${count} />`;
  const part = barScale(items);
  return html`
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    <ol id="recommendations" ref=${list} class="rows" role="list" aria-busy=${String(loading)}>
      ${items.map((item, place) => html`<${Row} key=${String(item.item_id)} item=${item} rank=${item.rank ?? place + 1}
        part=${part(item.score)} move=${moves.get(String(item.item_id))} who=${who} />`)}
    </ol>
    ${items.length === 0 && html`<p class="empty">${emptyText}</p>`}
    <footer class="list-foot"><${Stages} stages=${data.stages} /><${Call} call=${call} /></footer>`;
}
