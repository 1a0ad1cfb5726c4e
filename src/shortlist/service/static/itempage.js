// The page of one item: what it is, when it was taken, what is like it, who would like it.
import { html, useEffect } from "/static/vendor/preact-htm.js";
import { getAudience, getItem, similarItems, useResource } from "/static/api.js";
import { ActionButton, GenreChips, Icon, Problem, Skeleton, Spine } from "/static/components.js";
import { Neighbours } from "/static/item.js";
import { userHash } from "/static/users.js";
import { day, extrasOf, genresOf, hueOf, kindsOf, nameOf, number, plural } from "/static/text.js";

const K = 10;

/** Counts as bars; what they say in words is the picture's name. */
function Sparkline({ taken }) {
  const most = Math.max(...taken.counts, 1);
  const peak = taken.counts.indexOf(most);
  const length = (taken.end - taken.start) / taken.counts.length;
  const when = (n) => day(taken.start + n * length);
  const width = 100 / taken.counts.length;
  const label = `Taken ${plural(taken.total, "time")} from ${day(taken.start)} to ${day(taken.end)}, most often about ${when(peak + 0.5)}`;
  return html`<figure class="sparkline">
    <svg viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label=${label}>
      ${taken.counts.map((count, n) => count > 0 && html`<rect key=${n} x=${n * width + width * 0.1} width=${width * 0.8} y=${30 - (28 * count) / most - 1}
        height=${(28 * count) / most + 1}><title>${`about ${when(n + 0.5)}: ${number(count)}`}</title></rect>`)}
    </svg>
    <figcaption aria-hidden="true"><span>${day(taken.start)}</span><span>${day(taken.end)}</span></figcaption>
  </figure>`;
}

function Past({ taken }) {
  return html`<section aria-labelledby="past-title"><h2 id="past-title">How often it was taken</h2>
    <p class="fine past-counts"><strong>${number(taken.total)}</strong> in all · ${number(taken.liked)} liked · ${number(taken.disliked)} disliked</p>
    ${taken.counts.length > 0 && html`<${Sparkline} taken=${taken} />`}
  </section>`;
}

function Fan({ user, best }) {
  return html`<li class="mini-row" data-user-id=${user.user_id}>
    <span class="mini-title"><a class="title-button" href=${userHash(user.user_id)}>User ${user.user_id}</a>
      <small>${plural(user.history_length, "item")} in history · place ${number(user.place)} on their list</small></span>
    <span class="score" title="How far the item's score stands out of this user's other scores, in standard deviations">
      <span class="score-track" aria-hidden="true"><span class="score-fill" style=${{ "--part": Math.max(0, user.lift) / best }}></span></span>
      <span class="score-number"><span class="sr-only">Stands out by </span>${user.lift.toFixed(1)} σ</span></span>
  </li>`;
}

function Audience({ itemId }) {
  const { data, error, retry } = useResource((signal) => getAudience(itemId, K, signal), []);
  const users = data?.users ?? [];
  const best = Math.max(...users.map((user) => user.lift), 1e-6);
  return html`<section aria-labelledby="audience-title"><h2 id="audience-title">Who would like it</h2>
    ${error && html`<${Problem} error=${error} retry=${retry} />`}
    ${!data && !error && html`<${Skeleton} count=${6} kind="mini" />`}
    ${data && !users.length && html`<p class="empty">Everybody has taken it already.</p>`}
    <ol class="mini-rows" role="list" data-testid="audience">${users.map((user) => html`<${Fan} key=${String(user.user_id)} user=${user} best=${best} />`)}</ol>
    ${users.length > 0 && html`<p class="fine">Of ${plural(data.users_asked, "user")}, those who have not taken it and for whom its score stands out most, by the
      retriever's vectors.</p>`}
  </section>`;
}

function Facts({ item }) {
  const facts = [...extrasOf(item), ["id", String(item.item_id)]];
  return html`<dl class="facts">${facts.map(([name, text]) => html`<div key=${name}><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>`;
}

export function ItemPage({ itemId }) {
  const about = useResource((signal) => getItem(itemId, signal), []);
  const similar = useResource((signal) => similarItems(itemId, K, signal), []);
  const item = about.data?.item;
  const name = item && nameOf(item);
  useEffect(() => { if (name) document.title = `${name.title} – Shortlist`; }, [item]);
  if (about.error) return html`<${Problem} error=${about.error} retry=${about.retry}><a class="button" href="#/items">All items</a><//>`;
  if (!item) return html`<${Skeleton} count=${4} />`;
  return html`<article class="item-page">
    <header class="item-head" style=${{ "--hue": hueOf(kindsOf(item)[0]) }}>
      <${Spine} item=${item} />
      <a class="link drawer-back" href="#/items"><${Icon} name="back" /> All items</a>
      <h1>${name.title} ${name.year && html`<span class="year">${name.year}</span>`}</h1>
      <${GenreChips} item=${{ genres: genresOf(item) }} most=${12} />
      <div class="drawer-acts">
        ${[["like", "Like"], ["dislike", "Dislike"]].map(([action, word]) => html`<span key=${action} class="labelled">
          <${ActionButton} action=${action} item=${item} /><span aria-hidden="true">${word}</span></span>`)}
        <a class="labelled link" href=${`#/map/item/${encodeURIComponent(String(item.item_id))}`}><${Icon} name="map" /> On the map</a>
      </div>
      <${Facts} item=${item} />
    </header>
    <div class="item-body">
      <div class="item-people"><${Past} taken=${about.data.taken} /><${Audience} itemId=${itemId} /></div>
      <section aria-labelledby="like-title"><h2 id="like-title">More like this</h2><${Neighbours} resource=${similar} heading="h3" /></section>
    </div>
  </article>`;
}
