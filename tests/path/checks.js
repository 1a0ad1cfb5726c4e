// Accessibility by hand, for the browser tests: each check gives a list of what is wrong, in words.
const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && element.getClientRects().length > 0;
const say = (element) => `<${element.tagName.toLowerCase()} ${element.id || element.className?.baseVal || element.className}> ${element.textContent.trim().slice(0, 40)}`;
const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']";

function nameOf(element) {
  const heard = (node) => [...node.childNodes].map((child) => {
    if (child.nodeType === Node.TEXT_NODE) return child.data;
    return child.nodeType !== Node.ELEMENT_NODE || child.getAttribute("aria-hidden") === "true" ? "" : child.getAttribute("aria-label") ?? heard(child);
  }).join("");
  const by = (element.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const labels = [...(element.labels ?? [])].map(heard).join(" ");
  return (by.trim() || element.getAttribute("aria-label") || labels || heard(element) || element.title).trim();
}

function names() {
  const controls = [...document.querySelectorAll(`${CONTROLS}, [role=img], dialog[open]`)].filter(shown);
  return controls.filter((control) => !nameOf(control)).map((control) => `has no name: ${say(control)}`);
}

function structure() {
  const wrong = [];
  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5")].filter(shown).map((heading) => Number(heading.tagName[1]));
  if (headings.filter((level) => level === 1).length !== 1) wrong.push(`${headings.filter((level) => level === 1).length} headings of the first level`);
  headings.forEach((level, n) => { if (n && level > headings[n - 1] + 1) wrong.push(`heading ${n} jumps from level ${headings[n - 1]} to ${level}`); });
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  wrong.push(...ids.filter((id, n) => ids.indexOf(id) !== n).map((id) => `the id ${id} comes twice`));
  for (const attribute of ["aria-controls", "aria-describedby", "aria-labelledby"]) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      const missing = element.getAttribute(attribute).split(" ").filter((id) => !document.getElementById(id));
      wrong.push(...missing.map((id) => `${attribute} names ${id}, which is not there`));
    }
  }
  if (!document.documentElement.lang) wrong.push("the document has no language");
  if (document.querySelectorAll("main").length !== 1) wrong.push("there is not one main part");
  if (document.querySelectorAll("body > #app > header").length !== 1) wrong.push("there is not one banner");
  if (!document.querySelector("nav[aria-label] [aria-current=page]")) wrong.push("the navigation does not say where one is");
  return wrong;
}

const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
const seen = new Map();
/** [red, green, blue, alpha] of any CSS colour. */
function rgba(colour) {
  if (!seen.has(colour)) {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    seen.set(colour, [red, green, blue, alpha / 255]);
  }
  return seen.get(colour);
}
const over = (top, bottom, alpha = top[3]) => [0, 1, 2].map((c) => top[c] * alpha + bottom[c] * (1 - alpha));
const lightness = (colour) => colour.reduce((sum, part, c) => {
  const s = part / 255;
  return sum + [0.2126, 0.7152, 0.0722][c] * (s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4);
}, 0);

function contrast() {
  const wrong = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    // text that only readers get, and what lies over the map, whose ground is a picture
    if (!walker.currentNode.data.trim() || !shown(element) || element.closest(".sr-only, .stage-layer, .skip, option")) continue;
    const layers = [];
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      layers.unshift(rgba(style.backgroundColor));
      opacity *= Number(style.opacity);
    }
    const ground = layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
    const style = getComputedStyle(element);
    const ink = rgba(style.color);
    const [a, b] = [lightness(over(ink, ground, ink[3] * opacity)), lightness(ground)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const wanted = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if ((a + 0.05) / (b + 0.05) < wanted) wrong.push(`contrast ${((a + 0.05) / (b + 0.05)).toFixed(2)}: ${say(element)}`);
  }
  return [...new Set(wrong)];
}

/** Begins to note where the focus goes; `walked` then compares with what should be reached. */
function walk() {
  const notes = { reached: new Set(), unseen: [] };
  window.walking = notes;
  document.activeElement?.blur();
  document.addEventListener("focusin", ({ target }) => {
    notes.reached.add(target);
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) notes.unseen.push(`the focus is not seen: ${say(target)}`);
  });
  return [...document.querySelectorAll(CONTROLS)].filter((one) => shown(one) && one.tabIndex >= 0 && !one.disabled).length;
}

function walked() {
  const { reached, unseen } = window.walking;
  const all = [...document.querySelectorAll(CONTROLS)].filter((one) => shown(one) && one.tabIndex >= 0 && !one.disabled);
  return [...unseen, ...all.filter((one) => !reached.has(one)).map((one) => `Tab does not reach ${say(one)}`)];
}

window.checks = { names, structure, contrast, walk, walked };
