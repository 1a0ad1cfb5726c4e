// Map: all items on a plane, near each other where the model finds them alike.
import { html, useCallback, useEffect, useMemo, useRef, useState } from "/static/vendor/preact-htm.js";
import { landOnMap, searchItems, searchUsers, useResource } from "/static/api.js";
import { Choice, GenreChips, ItemTitle, Problem, Skeleton, Spine, usePage } from "/static/components.js";
import { fitOf, itemOf, itemsAt, loadMap, nearest } from "/static/mapdata.js";
import { MapStage } from "/static/mapstage.js";
import { SearchBox } from "/static/searchbox.js";
import { number, plural, titleOf, words } from "/static/text.js";

const K = 10;
const NEAR = 8;
const CLOSE = 9; // times the whole: from where one item is looked at

const percent = (share) => `${Math.round(100 * share)} %`;

function Finder({ onFound }) {
  return html`<${SearchBox} inputId="map-search" listId="map-results" label="Find an item on the map" placeholder="Find an item on the map"
    help="↑ ↓ to choose, Enter to go there, Esc to close"
    find=${(text, signal) => searchItems(text, 20, signal).then((answer) => answer.items ?? [])}
    rowAttributes=${(item) => ({ key: String(item.item_id), "data-item-id": item.item_id })}
    onChoose=${(item) => onFound(item.item_id)}
    renderRow=${(item) => html`<${Spine} item=${item} />
      <div class="popup-main" role="gridcell"><strong>${titleOf(item)}</strong><${GenreChips} item=${item} most=${3} /></div>`} />`;
}

function Rows({ items, numbered, testid }) {
  return html`<ol class="mini-rows" role="list" data-testid=${testid}>
    ${items.map((item, n) => html`<li key=${item.place} class="mini-row" data-item-id=${item.item_id}>
      ${numbered && html`<span class="map-number">${n + 1}</span>`}
      <${Spine} item=${item} />
      <span class="mini-title"><${ItemTitle} item=${item} /></span>
    </li>`)}
  </ol>`;
}

/** Who is asked about: the visitor's taste, a user by the address, or nobody. */
function useLanding(userId, shown) {
  const { taste } = usePage();
  const ids = (items) => items.map((item) => item.item_id);
  const mine = { history: ids(taste.liked), disliked: ids(taste.disliked), k: K, fit: true };
  const body = shown === "user" ? { user_id: userId, k: K, fit: true } : shown === "taste" && taste.liked.length ? mine : null;
  const request = body && JSON.stringify(body);
  const resource = useResource(body ? (signal) => landOnMap(body, signal).then((answer) => ({ ...answer, fit: fitOf(answer.fit), request })) : null, [request]);
  const name = shown === "user" ? `User ${userId}` : "Your taste";
  const fresh = resource.data?.request === request ? resource.data : null; // not the last one's, while the next loads
  return { ...resource, landing: useMemo(() => fresh && { ...fresh, name }, [fresh]) };
}

async function anyoneBut(userId) {
  const { users = [] } = await searchUsers(undefined, 100);
  const others = users.filter((user) => String(user.user_id) !== String(userId));
  return others.length ? others[Math.floor(Math.random() * others.length)].user_id : userId;
}

function WhoChoice({ shown, userId, onChoose }) {
  const { taste, announce } = usePage();
  const options = [["nobody", "nobody"], ["taste", "my taste"]];
  if (userId != null) options.push(["user", `user ${userId}`]);
  options.push(["anyone", "any user"]);
  const choose = (who) => {
    if (who === "taste" && !taste.liked.length) announce("Like something on Discover first.");
    if (who !== "anyone") onChoose(who);
    else anyoneBut(userId).then((id) => { location.hash = `#/map/user/${encodeURIComponent(String(id))}`; }, (error) => announce(error.message));
  };
  return html`<${Choice} label="Show" value=${shown} options=${options} onChoose=${choose} />`;
}

function Explorer({ map, target }) {
  const { openItem, announce, taste } = usePage();
  const userId = target.kind === "user" ? target.id : null;
  const [shown, setShown] = useState(userId != null ? "user" : taste.liked.length ? "taste" : "nobody");
  const [chosen, setColour] = useState(map.about.legend.length ? "tags" : "popularity");
  const [found, setFound] = useState(null);
  const [centre, setCentre] = useState([]);
  const control = useRef(null);
  const { landing, error, retry } = useLanding(userId, shown);

  useEffect(() => setShown((old) => (userId != null ? "user" : old === "user" ? "nobody" : old)), [userId]);
  useEffect(() => {
    if (landing && target.kind !== "item") control.current?.frame([[landing.x, landing.y], ...landing.items.map((item) => [item.x, item.y])]);
  }, [landing]);
  const goTo = useCallback((id) => itemOf(id).then((item) => {
    setFound(item);
    control.current?.flyTo(item.x, item.y, control.current.wholeScale() * CLOSE);
    announce(`${titleOf(item)} is in the middle of the map.`);
  }, (failure) => announce(failure.message)), []);
  useEffect(() => { if (target.kind === "item" && target.id != null) goTo(target.id); }, [target.kind, target.id]);
  const onCentre = (view, byKey) => itemsAt(nearest(map.points, view.x, view.y, NEAR)).then((items) => {
    setCentre(items);
    if (byKey) announce(`In the middle: ${titleOf(items[0])}.`);
  }, (failure) => announce(failure.message));

  const { about } = map;
  const colours = [["popularity", "popularity"]];
  if (about.feature) colours.unshift(["tags", words(about.feature)]);
  if (landing) colours.push(["fit", `fit for ${landing.name === "Your taste" ? "you" : landing.name.toLowerCase()}`]);
  const colour = chosen === "fit" && !landing ? colours[0][0] : chosen;
  return html`
    <div class="map-controls">
      <${Finder} onFound=${goTo} />
      ${colours.length > 1 && html`<${Choice} label="Colour" value=${colour} options=${colours} onChoose=${setColour} />`}
      <${WhoChoice} shown=${shown} userId=${userId} onChoose=${setShown} />
    </div>
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    <div class="map-body">
      <${MapStage} map=${map} landing=${landing} found=${found} colour=${colour} control=${control} onCentre=${onCentre} onPick=${openItem} />
      <div class="map-side">
        ${shown === "taste" && !taste.liked.length && html`<p class="empty">Your taste is empty: like something on <a href="#/discover">Discover</a>.</p>`}
        ${landing && html`<section aria-labelledby="landing-title">
          <h2 id="landing-title">Recommended ${shown === "user" ? `to user ${userId}` : "to you"}</h2>
          <p class="fine map-note"><i class="map-key is-query"></i> where the query points <i class="map-key is-past"></i> liked before</p>
          <${Rows} items=${landing.items} numbered testid="landing" />
        </section>`}
        <section aria-labelledby="centre-title"><h2 id="centre-title">In the middle of the view</h2>
          <${Rows} items=${centre} testid="centre" /></section>
      </div>
    </div>
    <p class="fine">${about.shares[0] === 0 && "This model tells items apart by one number alone, so that all of them stand at one place. "}The two directions in which the vectors of ${plural(about.num_items, "item")} differ most (principal components); they show
      ${" "}${percent(about.shares[0] + about.shares[1])} of the differences, so what is near here need not be near in all dimensions: an item's neighbours
      are exact.</p>`;
}

export function MapView({ target }) {
  const { data: map, error, retry } = useResource(loadMap, []);
  return html`<div class="map">
    <header class="hero is-small"><h1>The catalogue as the model sees it</h1>
      <p>${map ? `${number(map.about.num_items)} items: the closer, the more the same people like them.` : "\u00a0"}</p></header>
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    ${!map && !error && html`<${Skeleton} count=${1} kind="stage" />`}
    ${map && html`<${Explorer} map=${map} target=${target} />`}
  </div>`;
}
