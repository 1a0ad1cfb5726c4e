// One re-ranking step: its slider, and what else can be set of it.
import { html, useId } from "/static/vendor/preact-htm.js";
import { WORDS, nameOfStep } from "/static/steps.js";
import { number, words } from "/static/text.js";
import { Cost } from "/static/tradeoff.js";

const LABELS = { half_life: "half-life", date: "age by", feature: "alike by", groups: "groups by", at_most: "at most", where: "condition", protected: "protected", method: "method", share: "share", temperature: "temperature" };
const CHOICES = { mmr: "MMR: the nearest", dpp: "DPP: all at once", minimum_share: "FA*IR: a share", amortised: "by merit" };
const UNSAID = { date: "its first event", feature: "model's vectors", groups: "head and tail" };

function Pick({ id, label, value, options, onPick }) {
  return html`<label class="setting" for=${id}><span>${label}</span>
    <select id=${id} value=${value} onChange=${(event) => onPick(event.target.value)}>
      ${options.map(([option, text]) => html`<option key=${option} value=${option} selected=${option === value}>${text}</option>`)}
    </select></label>`;
}

/** One further setting, by its kind. */
function Setting({ step, setting, values, onChange }) {
  const { name, kind, options } = setting;
  const id = useId();
  const label = LABELS[name] ?? words(name);
  const value = values[name] ?? setting.default ?? "";
  const pick = (choices, current = value) => html`<${Pick} id=${id} label=${label} value=${String(current)} options=${choices} onPick=${(one) => onChange({ [name]: one || null })} />`;
  if (kind === "choice") return pick(options.map((one) => [one, CHOICES[one] ?? words(one)]));
  if (kind === "duration") return pick([...new Set([...options, value])].map((one) => [one, one]));
  if (kind === "feature") {
    const unsaid = step === "rules" ? "none" : step === "calibration" ? "the only one" : UNSAID[name] ?? "default";
    return pick([["", unsaid], ...options.map((one) => [one, words(one)])]);
  }
  if (kind === "values") {
    const known = options[values[setting.of]] ?? [];
    if (!known.length || values.method === "amortised") return null;
    return html`<${Pick} id=${id} label=${label} value=${values[name]?.[0] ?? ""} options=${[["", "choose one"], ...known.map((one) => [one, one])]}
      onPick=${(one) => onChange({ [name]: one ? [one] : [] })} />`;
  }
  if (kind === "count") {
    const most = [["", "any number"], ...[1, 2, 3, 4, 5].map((n) => [String(n), String(n)])];
    return html`<${Pick} id=${id} label=${label} value=${String(value)} options=${most} onPick=${(one) => onChange({ [name]: one ? Number(one) : null, strength: 1 })} />`;
  }
  if (kind === "condition") {
    return html`<label class="setting is-wide" for=${id}><span>${label}</span>
      <input id=${id} type="text" value=${value} maxlength="500" spellcheck=${false} autocomplete="off" placeholder='year >= 2010' onChange=${(event) => onChange({ [name]: event.target.value.trim() || null })} /></label>`;
  }
  const [low, high, move] = kind === "share" ? [0.05, 0.95, 0.05] : [0.02, 1, 0.02];
  return html`<label class="setting" for=${id}><span>${label} <b>${number(Number(value))}</b></span>
    <input id=${id} type="range" min=${low} max=${high} step=${move} value=${value} onInput=${(event) => onChange({ [name]: Number(event.target.value) })} /></label>`;
}

/** one: of stepsOf; onChange(values): what was moved. */
export function StepControl({ one, isOn, curve, onChange }) {
  const { step, values, about } = one;
  const id = useId();
  const said = WORDS[step] ?? { name: step, text: about?.about ?? "", low: "0", high: "1" };
  const settings = (about?.settings ?? []).filter(({ name, options }) => !(name === "share" && values.method === "amortised") && !(step === "calibration" && options.length < 2));
  const missing = about?.unavailable && !values.feature && !values.groups && !values.date ? about.unavailable : null;
  const strength = values.strength ?? 0;
  const hasSlider = step !== "rules";
  return html`<fieldset class="step" data-step=${step} data-on=${String(isOn)}>
    <legend class="sr-only">${nameOfStep(step)}</legend>
    <div class="step-head"><label for=${id}>${said.name}</label>${hasSlider && html`<output for=${id} class="step-value">${strength ? number(strength) : "off"}</output>`}</div>
    ${hasSlider && html`<input id=${id} class="slider" type="range" min="0" max="1" step="0.05" value=${strength} aria-describedby=${`${id}-text`}
      style=${{ "--part": strength }} disabled=${Boolean(missing && !settings.length)} onInput=${(event) => onChange({ strength: Number(event.target.value) })} />
      <p class="step-ends" aria-hidden="true"><span>${said.low}</span><span>${said.high}</span></p>`}
    <p id=${`${id}-text`} class="step-text">${said.text}</p>
    ${missing && strength > 0 && html`<p class="step-missing" role="status">${missing}</p>`}
    <${Cost} curve=${curve} strength=${strength} />
    ${settings.length > 0 && html`<div class="step-settings" hidden=${hasSlider && !(strength > 0)}>
      ${settings.map((setting) => html`<${Setting} key=${setting.name} step=${step} setting=${setting} values=${values} onChange=${onChange} />`)}</div>`}
  </fieldset>`;
}
