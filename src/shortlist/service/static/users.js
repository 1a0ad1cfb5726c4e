// Users: what someone in the data did, beside what the model makes of it.
import { html, useCallback, useEffect, useMemo, useRef, useState } from "/static/vendor/preact-htm.js";
import { getUser, recommendForUser, searchUsers, sendEvent, useResource } from "/static/api.js";
import { Choice, Icon, ItemTitle, Page, Problem, Skeleton, Spine, usePage } from "/static/components.js";
import { Recommendations } from "/static/recommendations.js";
import { SearchBox } from "/static/searchbox.js";
import { Path, StageTable, placedStages } from "/static/stages.js";
import { sameId } from "/static/store.js";
import { cell, day, extrasOf, isRecord, number, plural, titleOf, words } from "/static/text.js";

const K = 12;

/** Entries of a history shown before "show all"; on a phone the list is next. */
const firstShown = () => (matchMedia("(min-width: 960px)").matches ? 24 : 6);

export const userHash = (userId) => `#/users/${encodeURIComponent(String(userId))}`;

const goTo = (userId) => {
  location.hash = userHash(userId);
};

function UserSearch() {
  return html`<${SearchBox} inputId="user-search" listId="user-results"
    label="Search users by id" placeholder="Find a user by id" help="↑ ↓ to choose, Enter to open, Esc to close"
    find=${(text, signal) => searchUsers(text, 20, signal).then((answer) => answer.users ?? [])}
    rowAttributes=${(user) => ({ key: String(user.user_id), "data-user-id": user.user_id })}
    onChoose=${(user) => goTo(user.user_id)}
    renderRow=${(user) => html`<div class="popup-main" role="gridcell">
      <strong>User ${user.user_id}</strong> <span class="year">${historyText(user.history_length)}</span>
    </div>`} />`;
}

const historyText = (length) => (Number.isFinite(length) ? `${plural(length, "item")} in history` : "");

function Surprise({ current }) {
  const { announce } = usePage();
  const [busy, setBusy] = useState(false);
  const pending = useRef(null);
  // Whoever chose a user meanwhile must not be taken to another one.
  useEffect(() => () => pending.current?.abort(), [current]);
  const surprise = async () => {
    setBusy(true);
    pending.current = new AbortController();
    try {
      const { users = [] } = await searchUsers(undefined, 100, pending.current.signal);
      const others = users.filter((user) => String(user.user_id) !== String(current));
      if (others.length) goTo(others[Math.floor(Math.random() * others.length)].user_id);
      else announce("There is no other user.");
    } catch (error) {
      if (error.name !== "AbortError") announce(error.message);
    } finally {
      setBusy(false);
    }
  };
  return html`<button type="button" class="button" data-action="surprise" disabled=${busy} onClick=${surprise}>
    <${Icon} name="dice" /> Surprise me</button>`;
}

/** Some users to begin with, while none is chosen. */
function Gallery() {
  const { data, error, retry } = useResource((signal) => searchUsers(undefined, 24, signal), []);
  if (error) return html`<${Problem} error=${error} retry=${retry} />`;
  if (!data) return html`<${Skeleton} count=${12} kind="tile" />`;
  const users = data.users ?? [];
  if (!users.length) return html`<p class="empty">This model holds no users.</p>`;
  return html`<ul class="tiles" role="list" data-testid="users">
    ${users.map((user) => html`<li key=${String(user.user_id)} data-user-id=${user.user_id}>
      <a class="tile" href=${userHash(user.user_id)}>
        <strong>${user.user_id}</strong><span>${historyText(user.history_length)}</span>
      </a></li>`)}
  </ul>`;
}

function HistoryRow({ entry }) {
  const verdict = entry.liked ? "liked" : entry.disliked ? "disliked" : "seen";
  const extras = extrasOf(entry).map(([name, text]) => `${name} ${text}`);
  const small = [day(entry.timestamp), ...extras].filter(Boolean).join(" · ");
  return html`<li class="mini-row" data-item-id=${entry.item_id} data-verdict=${verdict}>
    <${Spine} item=${entry} />
    <span class="mini-title"><${ItemTitle} item=${entry} /><small>${small}</small></span>
    <span class=${`mark is-${verdict}`} title=${verdict}>
      ${verdict === "seen" ? "–" : html`<${Icon} name=${entry.liked ? "like" : "dislike"} />`}
      <span class="sr-only">${verdict}</span>
    </span>
  </li>`;
}

function History({ entries }) {
  const [all, setAll] = useState(false);
  const recent = [...entries].reverse(); // the API gives the oldest first
  const shown = all ? recent : recent.slice(0, firstShown());
  if (!recent.length) return html`<p class="empty">No history.</p>`;
  return html`<ol id="history" class="mini-rows" role="list">
      ${shown.map((entry, place) => html`<${HistoryRow} key=${`${place}:${entry.item_id}`} entry=${entry} />`)}
    </ol>
    ${shown.length < recent.length && html`<button type="button" class="button" onClick=${() => setAll(true)}>
      Show all ${recent.length}</button>`}`;
}

function Features({ features }) {
  const known = isRecord(features) ? Object.entries(features) : [];
  if (!known.length) return null;
  return html`<ul class="chips" role="list">
    ${known.map(([name, value]) => html`<li key=${name} class="chip is-plain">
      <span class="chip-name">${words(name)}</span> ${cell(value)}</li>`)}
  </ul>`;
}

const VERBS = { like: "likes", dislike: "dislikes", clear: "no longer has a word on" };

/**
 * What the page offers its parts, with the likes and dislikes of this user in
 * the place of the visitor's: they are sent as events, and all is asked anew.
 */
function useUsersPage(userId, history, onChange) {
  const page = usePage();
  const rate = useCallback((item, verdict) => {
    const event = verdict ?? "clear";
    sendEvent(userId, item.item_id, event).then(
      () => {
        page.announce(`User ${userId} ${VERBS[event]} ${titleOf(item)}.`);
        onChange();
      },
      (error) => page.announce(error.message),
    );
  }, [userId, onChange]);
  return useMemo(() => {
    const verdicts = new Map();
    for (const entry of history ?? []) {
      verdicts.set(String(entry.item_id), entry.liked ? "like" : entry.disliked ? "dislike" : null);
    }
    return { ...page, rate, taste: { ...page.taste, verdictOf: (id) => verdicts.get(String(id)) ?? null } };
  }, [page, history, rate]);
}

/** history: null while it loads. */
function User({ userId, history, reload }) {
  const { announce } = usePage();
  const list = useResource((signal) => recommendForUser(userId, K, signal), []);
  const [view, setView] = useState("list");
  const staged = placedStages(list.data).length > 0;
  const changed = useCallback(() => {
    list.retry();
    reload();
  }, [list.retry, reload]);
  const page = useUsersPage(userId, history, changed);
  useEffect(() => {
    const first = list.data?.items?.[0];
    if (first) announce(`User ${userId}. First recommendation: ${titleOf(first)}.`);
  }, [list.data]);
  return html`<${Page.Provider} value=${page}><div class="user">
    <section class="user-history" aria-labelledby="history-title">
      <h2 id="history-title">History <small>most recent first</small></h2>
      ${history ? html`<${History} entries=${history} />` : html`<${Skeleton} count=${12} kind="mini" />`}
    </section>
    <section class="list" aria-labelledby="list-title">
      <div class="section-head"><h2 id="list-title">Recommended next</h2>
        ${staged && html`<${Choice} label="View" value=${view} options=${[["list", "list"], ["stages", "stage by stage"]]} onChoose=${setView} />`}</div>
      ${list.data && html`<${Path} answer=${list.data} />`}
      ${staged && view === "stages" ? html`<${StageTable} answer=${list.data} />` : html`<${Recommendations} resource=${list} count=${K} who="they" call=${`GET /v1/recommendations/${encodeURIComponent(userId)}?k=${K}&explain=full`}
        emptyText="Nothing to recommend for this user." />`}
    </section>
  </div><//>`;
}

function tally(history) {
  const count = (key) => history.filter((entry) => entry[key]).length;
  return `${plural(history.length, "item")} in history · ${number(count("liked"))} liked · ${number(count("disliked"))} disliked`;
}

export function Users({ userId }) {
  const user = useResource(userId ? (signal) => getUser(userId, signal) : null, [userId]);
  // While another user loads, the last one's data is still there: not theirs.
  const known = user.data && sameId(user.data.user_id, userId) ? user.data : null;
  return html`<div class="users">
    <header class="hero">
      <h1>${userId ? `User ${userId}` : "Look over a shoulder"}</h1>
      ${userId
        ? html`<p>${known ? tally(known.history ?? []) : "\u00a0"}</p><${Features} features=${known?.features} />`
        : html`<p>Pick a user of the data, and see their history beside what the model would suggest next.</p>`}
    </header>
    <div class="picker"><${UserSearch} /><${Surprise} current=${userId} />
      ${known && html`<a class="button" href=${`#/map/user/${encodeURIComponent(userId)}`}><${Icon} name="map" /> On the map</a>`}</div>
    ${userId && user.error && html`<${Problem} error=${user.error} retry=${user.retry} />`}
    ${userId && !user.error && html`<${User} key=${userId} userId=${userId} history=${known && (known.history ?? [])} reload=${user.retry} />`}
    ${!userId && html`<${Gallery} key="gallery" />`}
  </div>`;
}
