// Stage by stage: how many items each stage left, and where each item of the list stood after it.
import { html } from "/static/vendor/preact-htm.js";
import { getMapItems, useResource } from "/static/api.js";
import { GenreChips, ItemTitle, Spine } from "/static/components.js";
import { duration, isRecord, number, plural, words } from "/static/text.js";

const MOST_DROPPED = 8;

/** What a stage is called above its column: the keys of an item's places. */
const heading = (stage) => ({ retrieval: "candidates", ranker: "ranked" })[stage] ?? words(stage);

/** How many of the candidates each source gave, where several did. */
const sourcesOf = (answer) => answer.stages?.retrieve?.sources ?? {};

/** [{name, count, note, seconds}] of what an answer says of its stages, in their order. */
function steps(answer) {
  const { encode, retrieve, rank, rerank } = answer.stages ?? {};
  const sources = Object.entries(sourcesOf(answer)).map(([name, count]) => `${number(count)} ${words(name)}`);
  const found = [];
  if (retrieve) {
    found.push({ name: "catalogue", count: retrieve.corpus });
    found.push({ name: "candidates", count: retrieve.candidates, note: sources.join(" + ") || encode?.model, seconds: (encode?.seconds ?? 0) + retrieve.seconds });
  }
  if (rank) found.push({ name: "ranked", count: rank.candidates, note: rank.model, seconds: rank.seconds });
  for (const step of rerank?.steps ?? []) {
    const strength = Number.isFinite(step.strength) ? `strength ${number(step.strength)}` : null;
    found.push({ name: words(step.step), count: step.out, note: strength, seconds: step.seconds });
  }
  found.push({ name: "shown", count: answer.items.length });
  return found;
}

/** The path as a row of stages, with what each left. */
export function Path({ answer }) {
  const all = steps(answer);
  const fallback = answer.stages?.fallback;
  const alone = !answer.stages?.rank && !answer.stages?.rerank && !answer.stages?.retrieve?.sources;
  return html`<ol class="path" role="list" aria-label="The way to this list" data-testid="path">
      ${all.map(({ name, count, note, seconds }) => html`<li key=${name} class="path-step">
        <span class="path-name">${name}</span> <strong>${number(count)}</strong>
        ${note && html`<small>${words(note)}</small>`}
        ${Number.isFinite(seconds) && html`<small>${duration(seconds)}</small>`}
      </li>`)}
    </ol>
    ${fallback && html`<p class="fine path-alone">What is popular answers in the model's place (${words(fallback.reason)}).</p>`}
    ${alone && !fallback && html`<p class="fine path-alone">The retriever decides alone: this model has neither a ranker nor re-rankers.</p>`}`;
}

/** The stages whose places the items carry; none where the retriever is alone. */
export const placedStages = (answer) => Object.keys(answer?.items?.[0]?.places ?? {});

function Place({ place, before }) {
  if (!place) return html`<td class="place"><span aria-hidden="true">–</span><span class="sr-only">not there</span></td>`;
  const moved = before === undefined ? 0 : before - place;
  const mark = before === 0 ? "new" : moved ? `${moved > 0 ? "▲" : "▼"}${number(Math.abs(moved))}` : before === undefined ? "" : "=";
  const said = before === 0 ? "brought in" : moved ? `${moved > 0 ? "up" : "down"} ${Math.abs(moved)}` : before === undefined ? "" : "stays";
  const way = before === 0 || moved > 0 ? "is-up" : moved < 0 ? "is-down" : "is-still";
  return html`<td class="place"><span class="place-number">${number(place)}</span>${mark && html` <span class=${`move ${way}`}><span aria-hidden="true">${mark}</span><span class="sr-only">, ${said}</span></span>`}</td>`;
}

/** One row an item of the final list, one column a stage: its place after it, and how far that moved it. */
export function StageTable({ answer }) {
  const stages = placedStages(answer);
  const isSource = (stage) => stage in sourcesOf(answer); // a list of its own, and no step after the one before
  const before = (item, n) => (n === 0 || isSource(stages[n]) || isSource(stages[n - 1]) ? undefined : item.places[stages[n - 1]]);
  return html`<div class="table-box" tabindex="0" role="region" aria-label="Places after each stage">
      <table class="places" data-testid="places">
        <caption class="sr-only">Where each recommended item stood after each stage</caption>
        <thead><tr><th scope="col">Item</th>${stages.map((stage) => html`<th key=${stage} scope="col" data-stage=${stage}>${heading(stage)}</th>`)}</tr></thead>
        <tbody>${answer.items.map((item) => html`<tr key=${String(item.item_id)} data-item-id=${item.item_id}>
          <th scope="row"><span class="place-item"><${Spine} item=${item} /><span><${ItemTitle} item=${item} /><${GenreChips} item=${item} most=${3} /></span></span></th>
          ${stages.map((stage, n) => html`<${Place} key=${stage} place=${item.places[stage]} before=${before(item, n)} />`)}
        </tr>`)}</tbody>
      </table>
    </div>
    <p class="fine">The place after each stage, ▲ lifted or ▼ lowered by it. The last column is the list.${
      Object.keys(sourcesOf(answer)).length > 0 && " Each source has a list of its own; – where it did not give the item."}</p>
    <${Dropped} answer=${answer} />`;
}

/** What left the first places, with the stage that put others there. */
function Dropped({ answer }) {
  const dropped = Object.entries(isRecord(answer.stages?.explain?.dropped) ? answer.stages.explain.dropped : {}).filter(([, ids]) => ids.length);
  const ids = dropped.flatMap(([, all]) => all.slice(0, MOST_DROPPED));
  const { data } = useResource(ids.length ? (signal) => getMapItems({ id: ids }, signal) : null, [ids.join()]);
  const known = new Map((data?.items ?? []).map((item) => [String(item.item_id), item]));
  return dropped.map(([stage, all]) => html`<p key=${stage} class="dropped"><b>${heading(stage)}</b> put ${plural(all.length, "item")} out of the first
    ${" "}${answer.items.length}: ${all.slice(0, MOST_DROPPED).map((id, n) => html`${n > 0 && ", "}<${ItemTitle} key=${String(id)} item=${known.get(String(id)) ?? { item_id: id }} />`)}${
      all.length > MOST_DROPPED && " …"}</p>`);
}
