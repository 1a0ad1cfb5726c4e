// Whether what is shown and taken now is as popular as what was learned from.
import { html } from "/static/vendor/preact-htm.js";
import { Bars } from "/static/charts.js";
import { number } from "/static/text.js";

const SERIES = [
  { key: "learned", name: "learned from", kind: "bar-learned" },
  { key: "shown", name: "shown", kind: "bar-shown" },
  { key: "taken", name: "taken", kind: "bar-taken" },
];
const percent = (value) => `${number(Number((value * 100).toPrecision(2)))} %`;
const sum = (counts) => counts.reduce((total, one) => total + one, 0);

/** In words, by the usual rule of thumb. */
function verdict(index, counts, enough) {
  if (!Number.isFinite(index)) return `too few to say (${number(sum(counts))} of ${enough})`;
  return `${index < 0.1 ? "little" : index < 0.25 ? "some" : "much"} drift (${index.toFixed(2)})`;
}

const nameOf = (band) => (band === "new" ? "new" : String(Number(band)));

export function Drift({ exposure }) {
  const shares = (key) => (key === "learned" ? exposure.learned : exposure[key].map((count) => (sum(exposure[key]) ? count / sum(exposure[key]) : NaN)));
  const columns = SERIES.map(({ key }) => shares(key));
  const groups = exposure.bands.map((band, n) => ({ name: nameOf(band), values: columns.map((column) => column[n]) }));
  return html`<section class="live-drift" aria-labelledby="drift-title" data-testid="drift">
    <div class="section-head"><h2 id="drift-title">Popularity: learned, shown, taken</h2></div>
    <div class="drift-body"><figure class="curve-box"><${Bars} groups=${groups} series=${SERIES} write=${percent} label="Shares of the ten bands of popularity in the data, in what is shown and in what is taken; the values stand in the table below" />
        <figcaption class="drift-legend">${SERIES.map(({ key, name, kind }) => html`<span key=${key}><i class=${kind}></i> ${name}</span>`)}</figcaption></figure>
      <dl class="drift-facts"><div><dt>what is shown</dt><dd>${verdict(exposure.drift.shown, exposure.shown, exposure.enough)}</dd></div>
        <div><dt>what is taken</dt><dd>${verdict(exposure.drift.taken, exposure.taken, exposure.enough)}</dd></div></dl></div>
    <p class="fine">Ten bands of items, each with a tenth of all that was learned from: 1 are the ${number(exposure.items[0])} most popular items, 10 the ${number(exposure.items[9])} least, new came after the artifact was made.
      The number is the population stability index: below 0.1 little has changed, above 0.25 much; then look whether to train anew.</p>
    <details class="call"><summary>As a table</summary><div class="table-box" tabindex="0" role="region" aria-label="Shares by band"><table class="places">
      <thead><tr><th scope="col">band</th><th scope="col">items</th>${SERIES.map(({ key, name }) => html`<th key=${key} scope="col">${name}</th>`)}</tr></thead>
      <tbody>${groups.map(({ name, values }, n) => html`<tr key=${name}><th scope="row">${name}</th><td class="place">${number(exposure.items[n])}</td>${values.map((value, m) => html`<td key=${m} class="place">${Number.isFinite(value) ? percent(value) : "–"}</td>`)}</tr>`)}</tbody>
    </table></div></details>
  </section>`;
}
