// The measured trade-off: what a step costs in accuracy and what it buys, by its strength.
import { html, useState } from "/static/vendor/preact-htm.js";
import { Choice } from "/static/components.js";
import { Curve } from "/static/charts.js";
import { between, nameOfStep } from "/static/steps.js";
import { number, plural } from "/static/text.js";

const BOUGHT = { freshness: "age", popularity: "popularity", calibration: "miscalibration", diversity: "diversity", rules: "diversity", exposure: "gini" };
const AXES = {
  diversity: "diversity", miscalibration: "calibration error", popularity: "popularity", age: "age in days",
  coverage: "coverage", novelty: "novelty in bits", gini: "inequality (Gini)",
};
export const percent = (share, digits = 1) => (Number.isFinite(share) ? `${(share * 100).toFixed(digits).replace("-", "−")} %` : "–");

/** One line under a slider: what its strength was measured to cost. */
export function Cost({ curve, strength }) {
  const here = curve && strength > 0 ? between(curve.points, strength) : null;
  if (!here) return null;
  return html`<p class="cost" data-testid="cost">measured: <strong>${percent(here.loss)}</strong> of ndcg lost, surely no more than ${percent(here.loss_high)}</p>`;
}

function PointTable({ curve, names }) {
  return html`<details class="call"><summary>As a table</summary><div class="table-box" tabindex="0" role="region" aria-label="Measured figures by strength">
    <table class="places"><thead><tr><th scope="col">strength</th><th scope="col">ndcg</th><th scope="col">lost</th><th scope="col">at most</th>${names.map((name) => html`<th key=${name} scope="col">${AXES[name]}</th>`)}</tr></thead>
      <tbody>${curve.points.map((one) => html`<tr key=${one.strength}><th scope="row">${number(one.strength)}</th><td class="place">${number(one.figures.ndcg)}</td>
        <td class="place">${percent(one.loss)}</td><td class="place">${percent(one.loss_high)}</td>${names.map((name) => html`<td key=${name} class="place">${number(one.figures[name])}</td>`)}</tr>`)}</tbody>
    </table></div></details>`;
}

function Measured({ step, curve, strength }) {
  const names = Object.keys(AXES).filter((name) => curve.points.every((one) => Number.isFinite(one.figures[name])));
  const [chosen, setChosen] = useState(null);
  const axis = names.includes(chosen) ? chosen : names.includes(BOUGHT[step]) ? BOUGHT[step] : names[0];
  const at = (one) => ({ x: one.figures[axis], y: one.figures.ndcg, text: number(one.strength) });
  const here = between(curve.points, strength);
  const none = curve.points[0];
  const said = here && `At strength ${number(strength)}: ndcg ${number(none.figures.ndcg)} → ${number(here.figures.ndcg)}, ${AXES[axis]} ${number(none.figures[axis])} → ${number(here.figures[axis])}.`;
  return html`<div class="tradeoff">
    <${Choice} label="Against" value=${axis} options=${names.map((name) => [name, AXES[name]])} onChoose=${setChosen} />
    <figure class="curve-box"><${Curve} points=${curve.points.map(at)} here=${here && at(here)} xTitle=${AXES[axis]} yTitle=${`ndcg@${curve.k}`}
      label=${`ndcg against ${AXES[axis]} by the strength of ${nameOfStep(step)}; the values stand in the table below`} />
      <figcaption aria-live="polite">${said}</figcaption></figure>
    <p class="fine">${plural(curve.num_queries, "query", "queries")}: ${curve.selected_on}; other steps as the artifact has them. The numbers at the points are strengths; the ring is where the slider stands, between measured points by a straight line.</p>
    <${PointTable} curve=${curve} names=${names} />
  </div>`;
}

/** tradeoffs: by step, as the artifact keeps them; `step`: which one is looked at. */
export function Tradeoff({ tradeoffs, step, strength, onChoose }) {
  const known = Object.keys(tradeoffs);
  const curve = tradeoffs[step];
  const options = [...new Set([...known, step])].map((one) => [one, nameOfStep(one).toLowerCase()]);
  return html`<section class="shape-tradeoff" aria-labelledby="tradeoff-title" data-testid="tradeoff">
    <div class="section-head"><h2 id="tradeoff-title">What it costs, measured</h2>${options.length > 1 && html`<${Choice} label="Step" value=${step} options=${options} onChoose=${onChoose} />`}</div>
    ${curve?.points?.length > 1
      ? html`<${Measured} key=${step} step=${step} curve=${curve} strength=${strength} />`
      : html`<p class="empty">One list shows what a step does, not what it costs. This artifact holds no curve of ${nameOfStep(step).toLowerCase()}: the command below asks everybody
          in its validation part at eleven strengths, and keeps the curve in the artifact. <code>POST /v1/reload</code> brings it here.</p>
        <pre class="command" tabindex="0"><code>shortlist tradeoff DIR --step ${step} --keep</code></pre>`}
  </section>`;
}
