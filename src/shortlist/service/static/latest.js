// The events that arrived last, newest first.
import { html, useRef } from "/static/vendor/preact-htm.js";
import { ItemTitle, Spine } from "/static/components.js";

const MEANT = { liked: "is-up", disliked: "is-down" };
const NONE = {
  none: "This service keeps no events: it was started with --events none.",
  unavailable: "The event store does not answer. Lists go on from the artifact alone.",
};

/** The time of a day for what is from today, else the day, too. */
function clock(timestamp) {
  const moment = new Date(timestamp);
  const time = moment.toLocaleTimeString("en", { hour12: false });
  return moment.toDateString() === new Date().toDateString() ? time : `${moment.toLocaleDateString("en", { month: "short", day: "numeric", year: "numeric" })}, ${time}`;
}

function EventRow({ one, isNew }) {
  return html`<li class="mini-row event-row" data-sequence=${one.sequence} data-new=${String(isNew)}>
    <${Spine} item=${one} />
    <span class="mini-title"><${ItemTitle} item=${one} /><small><a class="title-button" href=${`#/users/${encodeURIComponent(String(one.user_id))}`}>user ${one.user_id}</a> · <time datetime=${new Date(one.timestamp).toISOString()}>${clock(one.timestamp)}</time></small></span>
    <span class=${`event-word ${MEANT[one.meaning] ?? ""}`}>${one.event}</span>
  </li>`;
}

export function LatestEvents({ events, store }) {
  const first = useRef(null); // what was there when the page came is not new
  if (first.current === null) first.current = events[0]?.sequence ?? 0;
  return html`<section class="live-events" aria-labelledby="events-title">
    <h2 id="events-title">Events <small>as they arrive, newest first</small></h2>
    ${store !== "ok" ? html`<p class="empty">${NONE[store]}</p>` : events.length === 0 && html`<p class="empty">None yet. A like on a user's page is one.</p>`}
    ${events.length > 0 && html`<ol class="mini-rows" role="list" tabindex="0" aria-label="Events" data-testid="events">${events.map((one) => html`<${EventRow} key=${one.sequence} one=${one} isNew=${one.sequence > first.current} />`)}</ol>`}
  </section>`;
}
