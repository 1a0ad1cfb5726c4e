// Why an item is in the list: every score taken apart, and what each stage did with the item.
import { html, useState } from "/static/vendor/preact-htm.js";
import { ItemTitle } from "/static/components.js";
import { number, plural, titleOf, words } from "/static/text.js";

const MOST_PARTS = 8;

const MINUS = "\u2212";
/** Numbers of one sum, all to as many places as the largest part needs for three figures, so that they add up on paper. */
function writer(largest) {
  const places = largest > 0 ? Math.min(8, Math.max(0, 2 - Math.floor(Math.log10(largest)))) : 2;
  const text = (value) => Math.abs(value).toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
  return (value) => `${value < 0 ? MINUS : ""}${text(value)}`;
}
const percent = (share) => `${Math.round(100 * share)} %`;

/** What a part of a score is called. */
function nameOf({ kind, count, feature }) {
  if (kind === "liked") return plural(count, "other liked item");
  if (kind === "disliked") return plural(count, "disliked item");
  const named = { moment: "the time", retrieval: "how the retriever found it", user: "the person's own vector" };
  return named[kind] ?? words(feature);
}

/** size: 0 to 1, of the largest part; a bar to the right adds, one to the left takes away. */
function Part({ part, size, label, write }) {
  const takes = part.contribution < 0;
  return html`<li class=${takes ? "why-part is-against" : "why-part"}>
    <span class="why-name">${label}</span>
    <span class="why-track" aria-hidden="true"><span class="why-bar" style=${{ "--part": size }}></span></span>
    <span class="why-amount">${takes ? "" : "+"}${write(part.contribution)}</span>
    <span class="why-share">${percent(Math.abs(part.share))}</span>
  </li>`;
}

/** One model's score: what somebody unknown would have, and what each thing known adds to it. */
function Sum({ attribution }) {
  const { stage, model, score, baseline, parts } = attribution;
  const shown = parts.slice(0, MOST_PARTS);
  const rest = parts.slice(MOST_PARTS);
  const total = (key) => rest.reduce((sum, part) => sum + key(part), 0);
  const together = { contribution: total((part) => part.contribution), share: total((part) => Math.abs(part.share)) };
  const all = rest.length ? [...shown, together] : shown;
  const largest = Math.max(0, ...all.map((part) => Math.abs(part.contribution)));
  const write = writer(largest);
  const where = { retrieval: "The retriever", ranker: "The ranker" }[stage] ?? `The source ${words(stage)}`;
  return html`<div class="why-sum" data-stage=${stage}>
    <p><b>${where}</b>${words(model) !== words(stage) && ` (${words(model)})`} scores it <b class="why-score">${write(score)}</b>${parts.length === 0
      ? ", as for everybody."
      : html`: <span class="why-baseline">${write(baseline)}</span> for somebody unknown, and`}</p>
    ${parts.length > 0 && html`<ul class="why-parts" role="list">
      ${shown.map((part, place) => html`<${Part} key=${place} part=${part} write=${write} size=${Math.abs(part.contribution) / largest}
        label=${part.item_id == null ? nameOf(part) : html`<${ItemTitle} item=${{ item_id: part.item_id, title: part.title }} />`} />`)}
      ${rest.length > 0 && html`<${Part} key="rest" part=${together} write=${write} size=${Math.abs(together.contribution) / largest}
        label=${`${plural(rest.length, "smaller part")} together`} />`}
    </ul>`}
  </div>`;
}

function moved({ stage, place, lifted }) {
  const name = { retrieval: "found", ranker: "ranked" }[stage] ?? words(stage);
  if (!place) return `${name}: not there yet`;
  if (!lifted) return `${name}: place ${number(place)}`;
  return `${name}: ${lifted > 0 ? "lifted" : "lowered"} by ${number(Math.abs(lifted))} to place ${number(place)}`;
}

/** Opens below an item; nothing is drawn before. */
export function Why({ item }) {
  const [open, setOpen] = useState(false);
  if (!item.attributions?.length) return null;
  return html`<details class="why" onToggle=${({ currentTarget }) => setOpen(currentTarget.open)}>
    <summary>Why<span class="sr-only"> is ${titleOf(item)} here</span>?</summary>
    ${open && html`<div class="why-body">
      ${item.attributions.map((attribution) => html`<${Sum} key=${attribution.stage} attribution=${attribution} />`)}
      ${item.moves?.length > 1 && html`<p class="why-moves"><b>Stage by stage</b> ${item.moves.map((move, n) =>
        html`<span key=${n} class=${move.lifted > 0 ? "is-up" : move.lifted < 0 ? "is-down" : ""}>${moved(move)}</span>`)}</p>`}
    </div>`}
  </details>`;
}
