// Shape: sliders for the re-ranking steps, with what they do to somebody's list at once.
import { html, useEffect, useMemo, useRef, useState } from "/static/vendor/preact-htm.js";
import { getShape, searchUsers, shapeList, useResource } from "/static/api.js";
import { Choice, Icon, Problem, Skeleton, usePage } from "/static/components.js";
import { SearchBox, useDebounced } from "/static/searchbox.js";
import { Figures, Left, Meanings, ShapedRows } from "/static/shaped.js";
import { StepControl } from "/static/stepcontrol.js";
import { PRESETS, isOn, rerankOf, stepsOf, tomlOf, withPreset } from "/static/steps.js";
import { plural } from "/static/text.js";
import { Tradeoff } from "/static/tradeoff.js";

const K = 12;
const REST = 70; // ms a slider rests before a list is asked for
const shapeHash = (userId) => `#/shape/${encodeURIComponent(String(userId))}`;
const goTo = (userId) => { location.hash = shapeHash(userId); };

/** Whose list: a user by the address, else the visitor's taste, else the most active user there is. */
function useWho(userId) {
  const { taste } = usePage();
  const anyone = useResource(userId == null && !taste.liked.length ? (signal) => searchUsers(undefined, 1, signal) : null, [userId, taste.liked.length]);
  const ids = (items) => items.map((item) => item.item_id);
  if (userId != null) return { body: { user_id: userId }, name: `user ${userId}` };
  if (taste.liked.length) return { body: { history: ids(taste.liked), disliked: ids(taste.disliked) }, name: "your taste" };
  const first = anyone.data?.users?.[0]?.user_id;
  if (first !== undefined) return { body: { user_id: first }, name: `user ${first}` };
  return { body: anyone.data ? {} : null, name: "nobody in particular", error: anyone.error };
}

function Who({ userId, name }) {
  const { taste, announce } = usePage();
  const surprise = () => searchUsers(undefined, 100).then(({ users = [] }) => {
    const others = users.filter((user) => String(user.user_id) !== String(userId));
    if (others.length) goTo(others[Math.floor(Math.random() * others.length)].user_id);
  }, (error) => announce(error.message));
  return html`<div class="picker shape-who">
    <${SearchBox} inputId="shape-search" listId="shape-results" label="Whose list: find a user by id" placeholder=${`List of ${name}; find a user by id`}
      help="↑ ↓ to choose, Enter to take, Esc to close"
      find=${(text, signal) => searchUsers(text, 20, signal).then((answer) => answer.users ?? [])}
      rowAttributes=${(user) => ({ key: String(user.user_id), "data-user-id": user.user_id })}
      onChoose=${(user) => goTo(user.user_id)}
      renderRow=${(user) => html`<div class="popup-main" role="gridcell"><strong>User ${user.user_id}</strong> <span class="year">${plural(user.history_length, "item")} in history</span></div>`} />
    <button type="button" class="button" data-action="surprise" onClick=${surprise}><${Icon} name="dice" /> Anybody</button>
    ${userId != null && taste.liked.length > 0 && html`<a class="button" href="#/shape">My taste</a>`}
  </div>`;
}

/** The list of `who` under steps, asked for when the sliders rest; the last one stays until then. */
function useShaped(who, rerank) {
  const body = who.body && JSON.stringify({ ...who.body, k: K, rerank });
  const asked = useDebounced(body, REST);
  return { ...useResource(asked ? (signal) => shapeList(JSON.parse(asked), signal) : null, [asked]), call: asked };
}

function Keep({ rerank }) {
  const { announce } = usePage();
  const text = tomlOf(rerank);
  const copy = () => navigator.clipboard.writeText(`${text}\n`).then(() => announce("Copied."), () => announce("The browser does not allow it: select the text and copy it."));
  return html`<section class="shape-keep" aria-labelledby="keep-title">
    <div class="section-head"><h2 id="keep-title">Take it along</h2>${text && html`<button type="button" class="link" onClick=${copy}>Copy</button>`}</div>
    ${text
      ? html`<pre class="command" tabindex="0" data-testid="toml"><code>${text}</code></pre>
        <p class="fine">In <code>steps.toml</code>, <code>shortlist rerank DIR steps.toml</code> puts it into the artifact without training; or send it as ${""}
          <code>rerank</code> in the body of <code>POST /v1/recommendations</code>, for one answer.</p>`
      : html`<p class="empty">Nothing is switched on: the list is as the models leave it.</p>`}
  </section>`;
}

function Workbench({ shape, userId }) {
  const { announce } = usePage();
  const initial = useMemo(() => stepsOf(shape), [shape]);
  const [steps, setSteps] = useState(initial);
  const [touched, setTouched] = useState(Object.keys(shape.tradeoffs)[0] ?? initial.find((one) => !one.about?.unavailable)?.step);
  const who = useWho(userId);
  const rerank = rerankOf(steps);
  const list = useShaped(who, rerank);
  const change = (id, values) => {
    setSteps((old) => old.map((one) => (one.id === id ? { ...one, values: { ...one.values, ...values } } : one)));
    setTouched(steps.find((one) => one.id === id).step);
  };
  const result = useRef(null);
  const spoken = useRef(false);
  useEffect(() => {
    if (list.data && spoken.current) announce(`${plural(newcomers(list.data), "item")} of ${list.data.after.items.length} came onto the list.`);
    spoken.current = Boolean(list.data);
  }, [list.data]);
  const preset = Object.keys(PRESETS).find((name) => JSON.stringify(rerankOf(withPreset(initial, PRESETS[name]))) === JSON.stringify(rerank));
  const choosePreset = (name) => {
    setSteps(withPreset(initial, PRESETS[name]));
    const moved = Object.keys(PRESETS[name] ?? {});
    if (moved.length) setTouched(moved.find((step) => shape.tradeoffs[step]) ?? moved[0]);
  };
  const strength = steps.find((one) => one.step === touched)?.values.strength ?? 0;
  return html`
    <${Who} userId=${userId} name=${who.name} />
    <${Choice} label="Try" value=${preset} options=${Object.keys(PRESETS).map((name) => [name, name])} onChoose=${choosePreset} />
    <div class="shape-body">
      <form class="shape-steps" aria-label="Steps" onSubmit=${(event) => event.preventDefault()}>
        ${steps.map((one) => html`<${StepControl} key=${one.id} one=${one} isOn=${isOn(one)} curve=${shape.tradeoffs[one.step]} onChange=${(values) => change(one.id, values)} />`)}
        ${list.data && html`<p class="shape-bar"><span>${newcomers(list.data) ? html`<strong>${plural(newcomers(list.data), "item")}</strong> came onto the list` : "the same items on the list"}</span>
          <button type="button" class="button" data-action="see" onClick=${() => result.current.scrollIntoView({ block: "start" })}>See the list</button></p>`}
      </form>
      <section ref=${result} class="list" aria-labelledby="shaped-title">
        <div class="section-head"><h2 id="shaped-title">List of ${who.name}</h2><span class="count">${rerank.length ? `${plural(rerank.length, "step")} on` : "as the models leave it"}</span></div>
        ${(list.error || who.error) && html`<${Problem} error=${list.error ?? who.error} retry=${list.retry} />`}
        ${!list.data && !list.error && html`<${Skeleton} count=${8} />`}
        ${list.data && html`
          <${Figures} before=${list.data.before.figures} after=${list.data.after.figures} meaning=${shape.figures} />
          <${ShapedRows} answer=${list.data} busy=${list.loading} />
          <${Left} answer=${list.data} />
          <${Meanings} meaning=${shape.figures} />
          <details class="call"><summary>The API call behind this list</summary><pre tabindex="0"><code>${`POST /v1/recommendations\n\n${list.call}`}</code></pre></details>`}
      </section>
    </div>
    <div class="shape-foot">
      ${touched && html`<${Tradeoff} tradeoffs=${shape.tradeoffs} step=${touched} strength=${strength} onChoose=${setTouched} />`}
      <${Keep} rerank=${rerank} />
    </div>`;
}

function newcomers({ before, after }) {
  const known = new Set(before.items.map((item) => String(item.item_id)));
  return after.items.filter((item) => !known.has(String(item.item_id))).length;
}

export function Shape({ userId }) {
  const { data: shape, error, retry } = useResource(getShape, []);
  return html`<div class="shape">
    <header class="hero is-small"><h1>Shape the list</h1>
      <p>The models say what fits. What a page should be beyond that is yours to say: move a slider, and see what it moves. Nothing is saved.</p></header>
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    ${!shape && !error && html`<${Skeleton} count=${6} />`}
    ${shape && html`<${Workbench} shape=${shape} userId=${userId} />`}
  </div>`;
}
