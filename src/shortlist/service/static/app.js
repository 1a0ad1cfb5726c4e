// The shell: header, tabs by location.hash, the drawer, and what views share.
import {
  html, render, useCallback, useEffect, useMemo, useRef, useState,
} from "/static/vendor/preact-htm.js";
import { Icon, Page } from "/static/components.js";
import { Discover } from "/static/discover.js";
import { ItemDrawer } from "/static/item.js";
import { Items } from "/static/items.js";
import { MapView } from "/static/map.js";
import { KeyForm } from "/static/key.js";
import { Live } from "/static/live.js";
import { Report } from "/static/report.js";
import { Shape } from "/static/shape.js";
import { useTaste, useTheme } from "/static/store.js";
import { titleOf } from "/static/text.js";
import { Users } from "/static/users.js";

const TABS = [
  ["discover", "Discover"],
  ["items", "Items"],
  ["map", "Map"],
  ["users", "Users"],
  ["shape", "Shape"],
  ["report", "Report"],
  ["live", "Live"],
];

/**
 * "#/users/12" -> {view: "users", id: "12"}, "#/map/user/12" -> {view: "map",
 * kind: "user", id: "12"}; anything unknown is Discover.
 */
function parseHash(hash) {
  const [, view, ...rest] = hash.split("/");
  if (!TABS.some(([name]) => name === view)) return { view: "discover", id: null };
  const kind = view === "map" ? rest.shift() : undefined;
  try {
    return { view, kind, id: rest[0] ? decodeURIComponent(rest[0]) : null };
  } catch {
    return { view, kind, id: null }; // a broken % escape
  }
}

function useRoute() {
  const [route, setRoute] = useState(() => parseHash(location.hash));
  useEffect(() => {
    const onChange = () => {
      setRoute(parseHash(location.hash));
      scrollTo(0, 0);
    };
    addEventListener("hashchange", onChange);
    return () => removeEventListener("hashchange", onChange);
  }, []);
  return route;
}

function Header({ view, liked, onSkip }) {
  const [theme, toggleTheme] = useTheme();
  const tabs = useRef(null); // on a phone they are wider than the screen
  useEffect(() => {
    const [row, current] = [tabs.current, tabs.current.querySelector("[aria-current]")];
    row.scrollLeft = current.offsetLeft - row.offsetLeft - (row.clientWidth - current.offsetWidth) / 2;
  }, [view]);
  const other = theme === "dark" ? "light" : "dark";
  return html`<header class="top">
    <a class="skip" href=${`#/${view}`} onClick=${onSkip}>Skip to content</a>
    <a class="brand" href="#/discover">
      <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M9 10h14M9 16.5h9M9 23h3.5" />
      </svg>
      Shortlist
    </a>
    <nav class="tabs" ref=${tabs} aria-label="Views">
      ${TABS.map(([name, label]) => html`<a key=${name} href=${`#/${name}`} aria-current=${name === view ? "page" : undefined}>
        ${label}${name === "discover" && liked > 0 && html`<span class="badge" aria-label=${`${liked} liked`}>${liked}</span>`}</a>`)}
    </nav>
    <button type="button" class="act theme" data-action="theme" aria-label=${`Switch to ${other} theme`}
      title=${`Switch to ${other} theme`} onClick=${toggleTheme}><${Icon} name=${theme === "dark" ? "sun" : "moon"} /></button>
  </header>`;
}

function App() {
  const route = useRoute();
  const taste = useTaste();
  const [message, announce] = useState("");
  const [trail, setTrail] = useState([]); // items walked through in the drawer
  const main = useRef(null);

  const openItem = useCallback((item) => setTrail((old) => [...old, item]), []);
  const closeDrawer = useCallback(() => setTrail([]), []);
  const goBack = useCallback(() => setTrail((old) => old.slice(0, -1)), []);
  const rate = useCallback((item, verdict) => {
    taste.rate(item, verdict);
    const said = { like: "Liked", dislike: "Disliked" }[verdict] ?? "Removed";
    announce(`${said} ${titleOf(item)}.`);
  }, []);
  const page = useMemo(() => ({ taste, rate, openItem, announce }), [taste]);

  useEffect(() => {
    const label = TABS.find(([name]) => name === route.view)[1];
    document.title = route.view === "discover" ? "Shortlist" : `${label}${route.id ? ` ${route.id}` : ""} – Shortlist`;
    closeDrawer(); // the browser's Back button leaves the drawer, too
  }, [route.view, route.id]);

  // Not a real jump to "#main": the hash is the page's address.
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`<${Page.Provider} value=${page}>
    <${Header} view=${route.view} liked=${taste.liked.length} onSkip=${skip} />
    <main id="main" ref=${main} tabindex="-1">
      <${KeyForm} />
      ${route.view === "discover" && html`<${Discover} key="discover" />`}
      ${route.view === "items" && html`<${Items} key="items" itemId=${route.id} />`}
      ${route.view === "map" && html`<${MapView} key="map" target=${route} />`}
      ${route.view === "users" && html`<${Users} key="users" userId=${route.id} />`}
      ${route.view === "shape" && html`<${Shape} key="shape" userId=${route.id} />`}
      ${route.view === "report" && html`<${Report} key="report" />`}
      ${route.view === "live" && html`<${Live} key="live" />`}
    </main>
    <${ItemDrawer} trail=${trail} onBack=${goBack} onClose=${closeDrawer} />
    <p id="announcer" class="sr-only" aria-live="polite">${message}</p>
  <//>`;
}

render(html`<${App} />`, document.getElementById("app"));
