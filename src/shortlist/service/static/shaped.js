// A list before and after its steps: what moved, by which step, and what the list is like.
import { html, useRef } from "/static/vendor/preact-htm.js";
import { GenreChips, ItemTitle, Spine, useGlide } from "/static/components.js";
import { nameOfStep } from "/static/steps.js";
import { number, titleOf } from "/static/text.js";

const MOST_MOVES = 3;

/** "diversity 2" is the second step of that name. */
const stepWords = (stage) => nameOfStep(stage.replace(/ \d+$/, "")).toLowerCase();

/** [{stage, by}] what each re-ranking step did to an item's place; a rule may have brought it in. */
function movesOf(places, steps) {
  const stages = Object.keys(places ?? {});
  return steps.map((stage) => {
    const before = places[stages[stages.indexOf(stage) - 1]];
    return { stage, by: before === 0 ? Infinity : before - places[stage] };
  }).filter(({ by }) => by !== 0 && !Number.isNaN(by));
}

function MoveBadge({ stage, by }) {
  const way = by > 0 ? "up" : "down";
  if (by === Infinity) return html`<li class="badge-move is-up">${stepWords(stage)} brought it in</li>`;
  return html`<li class=${`badge-move is-${way}`}>${stepWords(stage)} <span aria-hidden="true">${by > 0 ? "▲" : "▼"}${Math.abs(by)}</span><span class="sr-only">${way} ${Math.abs(by)}</span></li>`;
}

function ShapedRow({ item, was, from, steps }) {
  const moves = movesOf(item.places, steps).sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
  const by = was === undefined ? null : was - item.rank;
  return html`<li class="shaped-row" data-item-id=${item.item_id} data-new=${String(was === undefined)}>
    <span class="rank-number">${item.rank}</span>
    <${Spine} item=${item} />
    <div class="shaped-main"><h3 class="row-title"><${ItemTitle} item=${item} /></h3><${GenreChips} item=${item} most=${3} />
      ${moves.length > 0 && html`<ul class="moves" role="list">${moves.slice(0, MOST_MOVES).map((one) => html`<${MoveBadge} key=${one.stage} ...${one} />`)}</ul>`}</div>
    <span class="shaped-was">${by === null ? html`<span class="move is-new">new</span>${from > 0 && html`<small>was ${number(from)}.</small>`}`
      : by === 0 ? steps.length > 0 && html`<span class="move is-still"><span aria-hidden="true">=</span><span class="sr-only">stays</span></span>` : html`<span class=${`move is-${by > 0 ? "up" : "down"}`}><span aria-hidden="true">${by > 0 ? "▲" : "▼"}${Math.abs(by)}</span><span class="sr-only">${by > 0 ? "up" : "down"} ${Math.abs(by)}</span></span><small>was ${number(was)}.</small>`}</span>
  </li>`;
}

/** The list as it is shaped, with what each step moved. */
export function ShapedRows({ answer, busy }) {
  const list = useRef(null);
  const { items } = answer.after;
  useGlide(list, items);
  const ranks = new Map(answer.before.items.map((item) => [String(item.item_id), item.rank]));
  const stages = Object.keys(items[0]?.places ?? {});
  const steps = stages.slice(stages.indexOf(stages.includes("ranker") ? "ranker" : "retrieval") + 1);
  const base = stages.includes("ranker") ? "ranker" : "retrieval";
  return html`<ol id="shaped" ref=${list} class="shaped" role="list" aria-busy=${String(busy)}>
    ${items.map((item) => html`<${ShapedRow} key=${String(item.item_id)} item=${item} was=${ranks.get(String(item.item_id))} from=${item.places?.[base]} steps=${steps} />`)}
  </ol>`;
}

/** What had to leave for it. */
export function Left({ answer }) {
  const kept = new Set(answer.after.items.map((item) => String(item.item_id)));
  const left = answer.before.items.filter((item) => !kept.has(String(item.item_id)));
  if (!left.length) return null;
  return html`<p class="dropped" data-testid="left"><b>${left.length === 1 ? "Left the list" : `${left.length} left the list`}</b>: ${left.map((item, n) => html`${n > 0 && ", "}<${ItemTitle} key=${titleOf(item)} item=${item} />`)}</p>`;
}

const share = (value) => `${number(Number((value * 100).toPrecision(2)))} %`;
const age = (days) => (days > 730 ? `${number(Number((days / 365.25).toPrecision(3)))} years` : `${number(Math.round(days))} days`);
const FIGURES = {
  score: { name: "fit", write: (value) => number(Number(value.toPrecision(3))), better: 1 },
  diversity: { name: "diversity", write: (value) => value.toFixed(2), better: 1 },
  kinds: { name: "kinds", write: number, better: 1 },
  miscalibration: { name: "off proportion", write: (value) => value.toFixed(2), better: -1 },
  popularity: { name: "popularity", write: share, better: 0 },
  tail: { name: "long tail", write: share, better: 0 },
  age: { name: "age", write: age, better: 0 },
};

function Figure({ name, before, after, meaning }) {
  const { name: text, write, better } = FIGURES[name];
  const most = Math.max(Math.abs(before), Math.abs(after), 1e-9);
  const same = write(before) === write(after);
  const way = same ? "is-same" : better * (after - before) > 0 ? "is-better" : better * (after - before) < 0 ? "is-worse" : "is-other";
  return html`<div class=${`figure ${way}`} data-figure=${name} title=${meaning}>
    <dt>${text}</dt>
    <dd><strong>${write(after)}</strong> <small>${same ? "unchanged" : `from ${write(before)}`}</small>
      <span class="figure-bars" aria-hidden="true"><i style=${{ "--part": Math.max(0, before) / most }}></i><i style=${{ "--part": Math.max(0, after) / most }}></i></span></dd>
  </div>`;
}

/** What the list is like, beside what it was like. */
export function Figures({ before, after, meaning }) {
  const names = Object.keys(FIGURES).filter((name) => Number.isFinite(before[name]) && Number.isFinite(after[name]));
  return html`<dl class="figures" data-testid="figures">${names.map((name) => html`<${Figure} key=${name} name=${name} before=${before[name]} after=${after[name]} meaning=${meaning[name]} />`)}</dl>`;
}

export function Meanings({ meaning }) {
  const names = Object.keys(FIGURES).filter((name) => meaning[name]);
  return html`<details class="call"><summary>What the figures mean</summary>
    <dl class="definitions">${names.map((name) => html`<div key=${name}><dt>${FIGURES[name].name}</dt><dd>${meaning[name]}</dd></div>`)}</dl></details>`;
}
