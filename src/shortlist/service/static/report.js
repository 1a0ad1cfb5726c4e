// Report: how the model was measured, and against what.
import { html } from "/static/vendor/preact-htm.js";
import { getReport, saveWithKey, useResource } from "/static/api.js";
import { Problem, Skeleton } from "/static/components.js";
import { cell, day, duration, isRecord, number, words } from "/static/text.js";

// For these a smaller value is the better one; for all others a larger.
const SMALLER_IS_BETTER = /loss|error|rmse|mae\b|gini|bias|perplexity|seconds/i;

/** A measured value is {value, low, high}; a bare number has no interval. */
function measured(raw) {
  if (Number.isFinite(raw)) return { value: raw };
  return isRecord(raw) && Number.isFinite(raw.value) ? raw : null;
}

const decimals = (value) => (Math.abs(value) < 10 ? value.toFixed(3) : number(value));

/** Model names with the one this service answers with first. */
function modelNames(report) {
  const names = Object.keys(report.models);
  return names.includes(report.model) ? [report.model, ...names.filter((name) => name !== report.model)] : names;
}

// What a glance needs, at the shortest list; the full report has the rest.
const HEADLINES = ["ndcg", "hit_rate", "recall", "mrr", "coverage", "diversity"];

function metricNames(models) {
  const names = [...new Set(Object.values(models).flatMap((metrics) => Object.keys(metrics ?? {})))];
  const k = Math.min(...names.filter((name) => name.startsWith("ndcg@")).map((name) => Number(name.slice(5))));
  const chosen = HEADLINES.map((metric) => `${metric}@${k}`).filter((name) => names.includes(name));
  return chosen.length ? chosen : names;
}

/** What a column needs: its best value and the end of its scale. */
function columnOf(metric, models) {
  const cells = Object.values(models).map((metrics) => measured(metrics?.[metric])).filter(Boolean);
  const values = cells.map(({ value }) => value);
  return {
    best: SMALLER_IS_BETTER.test(metric) ? Math.min(...values) : Math.max(...values),
    end: Math.max(...cells.map(({ value, high }) => high ?? value), 0),
    decided: values.length > 1,
  };
}

/** The interval drawn to the column's scale, so that overlaps can be seen. */
function Whisker({ value, low, high, end }) {
  if (!(end > 0) || value < 0) return null;
  const x = (number) => 2 + 96 * Math.min(1, Math.max(0, number / end));
  const hasInterval = Number.isFinite(low) && Number.isFinite(high);
  return html`<svg class="whisker" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <line class="whisker-axis" x1="0" y1="5" x2="100" y2="5" />
    ${hasInterval && html`<line class="whisker-range" x1=${x(low)} y1="5" x2=${x(high)} y2="5" />`}
    <line class="whisker-value" x1=${x(value)} y1="0.5" x2=${x(value)} y2="9.5" />
  </svg>`;
}

function Measure({ metric, raw, column }) {
  const found = measured(raw);
  if (!found) return html`<td role="cell" data-label=${metric}>–</td>`;
  const { value, low, high } = found;
  const best = column.decided && value === column.best;
  return html`<td role="cell" data-label=${metric} data-best=${String(best)}>
    <span class="measure">${best ? html`<b>${decimals(value)}</b>` : decimals(value)}</span>
    ${Number.isFinite(low) && Number.isFinite(high) && html`<span class="interval">[${decimals(low)}, ${decimals(high)}]</span>`}
    <${Whisker} value=${value} low=${low} high=${high} end=${column.end} />
  </td>`;
}

function Models({ report }) {
  const { models, definition = {} } = report;
  const names = modelNames(report);
  const metrics = metricNames(models);
  const columns = Object.fromEntries(metrics.map((metric) => [metric, columnOf(metric, models)]));
  return html`<section aria-label="Results"><div class="table-box" tabindex="0" role="region" aria-label="Models and metrics">
    <table class="models" role="table">
      <thead role="rowgroup"><tr role="row">
        <th role="columnheader" scope="col">Model</th>
        ${metrics.map((metric) => html`<th key=${metric} role="columnheader" scope="col" title=${definition?.[metric]}>${words(metric)}</th>`)}
      </tr></thead>
      <tbody role="rowgroup">
        ${names.map((name, place) => html`<tr key=${name} role="row" class=${place === 0 ? "is-model" : ""} data-model=${name}>
          <th role="rowheader" scope="row">${words(name)}${place === 0 && html`<span class="tag">this model</span>`}</th>
          ${metrics.map((metric) => html`<${Measure} key=${metric} metric=${metric} raw=${models[name]?.[metric]} column=${columns[metric]} />`)}
        </tr>`)}
      </tbody>
    </table>
  </div>
  <p class="fine">Best value of each metric in bold, its interval in brackets${Number.isFinite(report.num_queries)
    ? ` over ${number(report.num_queries)} queries` : ""}. Where two intervals overlap, take a lead with care.
    <a href="/report" onClick=${(event) => saveWithKey("/report", "report.html") && event.preventDefault()}>The full report</a> has all figures, slices, curves and costs on one page.</p></section>`;
}

/** One value of the data summary; times are printed as days and durations. */
function factText(key, value) {
  if (/timestamp/.test(key)) return day(value) ?? cell(value);
  if (/seconds/.test(key) && Number.isFinite(value)) return duration(value);
  if (/_mb$/.test(key) && Number.isFinite(value)) return `${number(value)} MB`;
  return cell(value);
}

const factName = (key) => words(key.replace(/^num_/, "").replace(/_mb$|[ _]seconds$/, ""));

function Facts({ title, facts, emptyText }) {
  const entries = Object.entries(facts ?? {}).filter(([, value]) => !isRecord(value));
  return html`<section class="facts-box">
    <h2>${title}</h2>
    ${entries.length === 0 && html`<p class="empty">${emptyText}</p>`}
    <dl class="fact-list">
      ${entries.map(([key, value]) => html`<div key=${key}><dt>${factName(key)}</dt><dd>${factText(key, value)}</dd></div>`)}
    </dl>
  </section>`;
}

function Definitions({ definition, shown }) {
  const entries = Object.entries(isRecord(definition) ? definition : {}).filter(([metric]) => shown.includes(metric));
  if (!entries.length) return null;
  return html`<section class="facts-box">
    <h2>What the metrics mean</h2>
    <dl class="definitions">
      ${entries.map(([metric, text]) => html`<div key=${metric}><dt>${words(metric)}</dt><dd>${cell(text)}</dd></div>`)}
    </dl>
  </section>`;
}

function runFacts({ seconds, peak_memory_mb, seed }) {
  const facts = {};
  if (isRecord(seconds)) for (const [name, value] of Object.entries(seconds)) facts[`${name} seconds`] = value;
  if (peak_memory_mb != null) facts.peak_memory_mb = peak_memory_mb;
  if (seed != null) facts.seed = seed;
  return facts;
}

export function Report() {
  const { data: report, error, retry } = useResource(getReport, []);
  const measuredModels = isRecord(report?.models) && metricNames(report.models).length > 0;
  return html`<div class="report">
    <header class="hero">
      <h1>How good is it?</h1>
      <p>Measured on actions the model was not shown, beside other models on the same split.</p>
    </header>
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    ${!report && !error && html`<${Skeleton} count=${4} />`}
    ${report && html`
      ${measuredModels ? html`<${Models} report=${report} />` : html`<p class="empty">This model was not evaluated yet.</p>`}
      <div class="fact-boxes">
        <${Facts} title="Data" facts=${report.data} emptyText="No summary of the data." />
        <${Facts} title="Split" facts=${report.split} emptyText="No split is recorded." />
        <${Facts} title="Run" facts=${runFacts(report)} emptyText="Nothing about the run is recorded." />
      </div>
      <${Definitions} definition=${report.definition} shown=${measuredModels ? metricNames(report.models) : []} />`}
  </div>`;
}
