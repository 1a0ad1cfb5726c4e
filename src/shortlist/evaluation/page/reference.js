// What is looked up: what the model is not good for, definitions, settings.

/** Said once for all artifacts of which the same holds. */
function limitsPart(artifacts) {
  const same = new Map();
  for (const { name, card } of artifacts) {
    const key = JSON.stringify(list(card.limits));
    same.set(key, [...(same.get(key) ?? []), name]);
  }
  return [...same].map(([key, names]) => {
    const limits = JSON.parse(key);
    if (limits.length === 0) return null;
    const items = limits.map((text) => el("li", {}, minusSigns(String(text))));
    return el("div", {}, artifacts.length > 1 && el("h3", { class: "of" }, listed(names)), el("ul", { class: "limits" }, items));
  });
}

/** One entry a metric: the exact text, where k stands for each length. */
function definitionsPart(groups) {
  const definition = Object.assign({}, ...groups.map((group) => group.definition));
  const metrics = new Map();
  for (const [figure, text] of entries(definition)) {
    const { metric, k } = parts(figure);
    if (!metrics.has(metric)) metrics.set(metric, { text: k === null ? String(text) : String(text).replaceAll(new RegExp(`\\b${k}\\b`, "g"), "k"), ks: [] });
    if (k !== null) metrics.get(metric).ks.push(k);
  }
  if (metrics.size === 0) return null;
  return el(
    "details",
    { class: "quiet", "data-testid": "definitions" },
    el("summary", {}, `All ${metrics.size} figures`),
    el(
      "dl",
      { class: "definitions" },
      [...metrics].map(([metric, { text, ks }]) =>
        el("div", {}, el("dt", {}, metricName(metric), el("small", {}, ks.length ? `k = ${ks.join(", ")}` : "")), el("dd", {}, plainWords(metric) && `${plainWords(metric)} `, el("span", { class: "exact" }, `Exactly: ${text}.`))),
      ),
    ),
  );
}

const isTable = (value) => isRecord(value);

function tomlValue(value) {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  if (isRecord(value)) return `{ ${entries(value).map(([name, one]) => `${tomlKey(name)} = ${tomlValue(one)}`).join(", ")} }`;
  return String(value);
}

const tomlKey = (name) => (/^[\w-]+$/.test(name) ? name : JSON.stringify(name));

/** Settings as the file would say them; what was left open is left out. */
function toml(values, path = []) {
  const given = entries(values).filter(([, value]) => value !== null && value !== undefined);
  const own = given.filter(([, value]) => !isTable(value)).map(([name, value]) => `${tomlKey(name)} = ${tomlValue(value)}`);
  const below = given.filter(([, value]) => isTable(value) && entries(value).length > 0).flatMap(([name, value]) => toml(value, [...path, tomlKey(name)]));
  const head = path.length > 0 && own.length > 0 ? [`[${path.join(".")}]`] : [];
  const block = [...head, ...own].join("\n");
  return [...(block ? [block] : []), ...below];
}

function settingsPart(artifact, isOne) {
  const text = toml(artifact.card.settings).join("\n\n");
  if (!text) return null;
  return el("details", { class: "quiet", "data-testid": "settings" }, el("summary", {}, isOne ? "All settings of this run" : `All settings of ${artifact.name}`), el("pre", { tabindex: 0 }, text));
}

/** path → value, down to what is no table. */
function flat(values, path = "") {
  return entries(values).flatMap(([name, value]) => (isTable(value) ? flat(value, `${path}${name}.`) : [[path + name, value]]));
}

/** Settings in which the artifacts differ, one column each. */
function settingsThatDiffer(artifacts) {
  const all = artifacts.map(({ card }) => new Map(flat(card.settings).map(([name, value]) => [name, value === null ? "–" : tomlValue(value)])));
  const names = [...new Set(all.flatMap((one) => [...one.keys()]))];
  const differing = names.filter((name) => new Set(all.map((one) => one.get(name) ?? "–")).size > 1);
  if (differing.length === 0) return el("p", { class: "fine" }, "Their settings are the same throughout.");
  const rows = differing.map((name) => [el("span", { class: "mono" }, name), ...all.map((one) => el("span", { class: "mono" }, one.get(name) ?? "–"))]);
  return el("div", {}, el("h3", {}, "Settings that differ"), table("Settings that differ", ["Setting", ...artifacts.map(({ name }) => name)], rows));
}
