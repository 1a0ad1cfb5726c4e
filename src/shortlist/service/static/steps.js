// Re-ranking steps as the page keeps them: what can be set, what is sent, and the settings file they become.

/** In words for people; `low` and `high` name the ends of the slider. */
export const WORDS = {
  freshness: { name: "Freshness", low: "any age", high: "the newest", text: "What came lately moves up: relevance fades with age." },
  popularity: { name: "Less popular", low: "as it is", high: "rarely seen", text: "What everybody knows already moves down." },
  boost: { name: "Boost", low: "off", high: "always first", text: "Items that meet a condition move up." },
  calibration: { name: "In proportion", low: "as it is", high: "their own mixture", text: "The page gets the mixture of kinds that the person's history has." },
  diversity: { name: "Diversity", low: "more of the same", high: "all different", text: "Each item is unlike those above it." },
  exposure: { name: "Fair share", low: "off", high: "in full", text: "A protected group gets its part of the page, tested statistically at every place." },
  rules: { name: "Quota", low: "off", high: "strict", text: "No more than a few of one kind on the page." },
  exploration: { name: "Exploration", low: "fixed order", high: "by lot", text: "A draw instead of a fixed order, so that rarely shown items get feedback." },
};
const ORDER = Object.keys(WORDS);

/** A few combinations to begin with: strengths by step. */
export const PRESETS = {
  "as served": null,
  "fresher": { freshness: 0.6 },
  "more varied": { diversity: 0.5, calibration: 0.3 },
  "off the beaten track": { popularity: 0.45, exposure: 1 },
};

export const nameOfStep = (step) => WORDS[step]?.name ?? step;

/** Plain settings of a step, without what stands at nothing. */
const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length)));

/**
 * Every step that the data allow, the artifact's own first and in their order, the others at strength 0.
 * Each: {id, step, values (strength among them), about (of the menu)}.
 */
export function stepsOf({ steps: menu, rerank }) {
  const about = new Map(menu.map((one) => [one.step, one]));
  const own = rerank.map((values, n) => ({ id: `${values.step}-${n}`, step: values.step, values: given(values), about: about.get(values.step) }));
  const others = [...menu].sort((a, b) => ORDER.indexOf(a.step) - ORDER.indexOf(b.step))
    .filter(({ step }) => !own.some((one) => one.step === step))
    .map((one) => ({ id: one.step, step: one.step, about: one, values: { step: one.step, ...suggested(one), strength: 0 } }));
  return [...own, ...others];
}

/** What fits the data better than the default, where the service says so. */
const suggested = (about) => Object.fromEntries(about.settings.filter((one) => one.suggested != null).map((one) => [one.name, one.suggested]));

/** Whether a step does anything as it is set. */
export function isOn({ step, values, about }) {
  if (!(values.strength > 0)) return false;
  if (step === "boost") return Boolean(values.where || values.items?.length);
  if (step === "rules") return Boolean((values.at_most && values.groups) || values.block?.length || values.pin?.length);
  return !about?.unavailable || Boolean(values.feature || values.groups || values.date);
}

/** What a request says: the steps that do something, in their order. */
export const rerankOf = (steps) => steps.filter(isOn).map(({ values }) => given(values));

export function withPreset(initial, preset) {
  if (!preset) return initial;
  return initial.map((one) => (preset[one.step] != null && !one.about?.unavailable
    ? { ...one, values: { ...one.values, strength: preset[one.step] } }
    : { ...one, values: { ...one.values, strength: 0 } }));
}

const toml = (value) => (Array.isArray(value) ? `[${value.map(toml).join(", ")}]` : JSON.stringify(value));

/** The [[rerank]] tables of a settings file. */
export const tomlOf = (rerank) => rerank.map((values) => ["[[rerank]]", ...Object.entries(values).map(([name, value]) => `${name} = ${toml(value)}`)].join("\n")).join("\n\n");

/** The figures at a strength between measured ones, by straight lines. */
export function between(points, strength) {
  const known = points.filter((one) => Number.isFinite(one.strength));
  const after = known.findIndex((one) => one.strength >= strength);
  if (after < 0) return null;
  if (after === 0) return strength === known[0].strength ? known[0] : null;
  const [a, b] = [known[after - 1], known[after]];
  const part = (strength - a.strength) / (b.strength - a.strength);
  const mix = (x, y) => x + (y - x) * part;
  const figures = Object.fromEntries(Object.keys(b.figures).map((name) => [name, mix(a.figures[name], b.figures[name])]));
  return { strength, figures, loss: mix(a.loss, b.loss), loss_high: mix(a.loss_high, b.loss_high) };
}
