// Elements, numbers and sentences. Text is always set as text, so that no title can become markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const isRecord = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
const entries = (value) => Object.entries(isRecord(value) ? value : {});
const list = (value) => (Array.isArray(value) ? value : []);

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const minus = (text) => text.replace("-", "\u2212");

/** 0.0390: measured figures, always to four decimals. */
const decimals = (value, places = 4) => (isNumber(value) ? minus(value.toFixed(places)) : "–");

/** +0.0054 or −0.0014. */
const signed = (value, places = 4) => (isNumber(value) && value > 0 ? "+" : "") + decimals(value, places);

const count = (value) => (isNumber(value) ? grouped.format(value) : "–");

/** 1 question, 671 questions. */
const many = (value, one, more = `${one}s`) => `${count(value)} ${value === 1 ? one : more}`;

/** [0.0281, 0.0509]; nothing where there is no interval. */
function interval(figure, write = decimals) {
  return isNumber(figure?.low) && isNumber(figure?.high) ? `[${write(figure.low)}, ${write(figure.high)}]` : "";
}

/** A probability as a share; never 1.00 for what was only never seen otherwise. */
function probability(value) {
  if (!isNumber(value)) return "–";
  if (value > 0.995) return "> 0.99";
  return value < 0.005 ? "< 0.01" : value.toFixed(2);
}

/** 0.15 s, 12 s, 2 min 30 s. */
function duration(seconds) {
  if (!isNumber(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** 9 January 1995, from 1995-01-09. */
function day(text) {
  const found = new Date(`${String(text ?? "").slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(found.getTime())) return text ? String(text) : "";
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" }).format(found);
}

/** a, b and c. */
function listed(words) {
  const all = [...words];
  return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} and ${all[all.length - 1]}`;
}

/** A labelled choice; options are [value, text] or [group, [[value, text], …]]. */
function choice(label, name, options, chosen, change) {
  const option = ([value, text]) => el("option", { value, selected: value === chosen }, text);
  const select = el(
    "select",
    { name, onchange: (event) => change(event.target.value) },
    options.map(([first, rest]) => (Array.isArray(rest) ? el("optgroup", { label: first }, rest.map(option)) : option([first, rest]))),
  );
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

let lastGroup = 0;

/** A few choices side by side, moved through with the arrow keys. */
function switches(label, name, options, chosen, change) {
  lastGroup += 1;
  const group = `${name}-${lastGroup}`;
  const one = ([value, text]) =>
    el(
      "label",
      {},
      el("input", { type: "radio", name: group, value, checked: value === chosen, onchange: () => change(value) }),
      el("span", {}, text),
    );
  return el("fieldset", { class: "switches", "data-name": name }, el("legend", {}, label), el("div", {}, options.map(one)));
}
