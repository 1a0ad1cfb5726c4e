// A search box whose results open below it: a combobox with a grid popup, as
// the ARIA practices describe it, because a row may hold buttons of its own.
import { html, useEffect, useId, useRef, useState } from "/static/vendor/preact-htm.js";
import { useResource } from "/static/api.js";
import { Icon } from "/static/components.js";

const PAUSE = 160; // ms without a key before a search is sent

/** The value once it has rested for a moment. */
export function useDebounced(value, pause = PAUSE) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pause);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

/** "/" moves to the search box, as in many catalogues, unless one is typing. */
function useSlashKey(input) {
  useEffect(() => {
    const onKey = (event) => {
      const typing = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

/**
 * find(text, signal): promise of the rows.   onChoose(row): Enter on a row.
 * renderRow(row, isActive): the row's cells. rowAttributes(row): key and hooks.
 * keepOpen: stay open after a choice, to choose several from one search; the
 * rows then hold their own buttons. Otherwise a click on a row chooses it.
 */
export function SearchBox({
  inputId, listId, label, placeholder, help, find, renderRow, rowAttributes, onChoose, keepOpen,
}) {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const input = useRef(null);
  const popup = useRef(null);
  const rowId = useId();
  const wanted = text.trim();
  const asked = useDebounced(wanted);
  const { data, error, loading, retry } = useResource(asked ? (signal) => find(asked, signal) : null, [asked]);
  const rows = (asked && data) || [];
  const isOpen = open && wanted !== "";
  const isFresh = asked === wanted && !loading; // the rows belong to the text
  useSlashKey(input);

  useEffect(() => setActive(-1), [data]);
  useEffect(() => {
    if (active >= 0) popup.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [active]);

  const choose = (row) => {
    onChoose(row);
    if (keepOpen) {
      input.current.select(); // the next word typed starts the next search
    } else {
      setText("");
      setOpen(false);
    }
  };
  const move = (step) => {
    setOpen(true);
    if (rows.length) setActive((old) => (old < 0 && step < 0 ? rows.length - 1 : (old + step + rows.length) % rows.length));
  };
  const onKeyDown = (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") move(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" && isOpen && isFresh && rows.length) choose(rows[Math.max(active, 0)]);
    else if (event.key === "Escape" && isOpen) setOpen(false);
    else if (event.key === "Escape") setText("");
    else return;
    event.preventDefault();
  };
  // Tab may go on into the buttons of the active row; leaving the whole closes.
  const onFocusOut = (event) => {
    if (!event.currentTarget.contains(event.relatedTarget)) setOpen(false);
  };
  // Back from a button in the popup to the box, and on as if typed there.
  const onPopupKey = (event) => {
    if (event.key !== "Escape" && !event.key.startsWith("Arrow")) return;
    input.current.focus();
    onKeyDown(event);
  };

  const status = error ? "" : !isFresh ? "Searching…" : rows.length ? "" : `Nothing found for “${wanted}”.`;
  return html`<div class="search" onFocusOut=${onFocusOut}>
    <label class="sr-only" for=${inputId}>${label}</label>
    <div class="search-field">
      <${Icon} name="search" />
      <input ref=${input} id=${inputId} type="text" role="combobox" autocomplete="off" spellcheck=${false}
        placeholder=${placeholder} aria-autocomplete="list" aria-haspopup="grid" aria-controls=${listId}
        aria-expanded=${String(isOpen)} aria-describedby=${`${inputId}-help`}
        aria-activedescendant=${isOpen && active >= 0 ? `${rowId}-${active}` : undefined} value=${text}
        onInput=${(event) => { setText(event.target.value); setOpen(true); }}
        onFocus=${() => setOpen(true)} onClick=${() => setOpen(true)} onKeyDown=${onKeyDown} />
      <kbd class="search-key" aria-hidden="true">/</kbd>
    </div>
    <div ref=${popup} class="popup" hidden=${!isOpen} onKeyDown=${onPopupKey}
      onMouseDown=${(event) => event.preventDefault() /* the box keeps the focus */}>
      <ul id=${listId} class="popup-rows" role="grid" aria-label=${label} aria-busy=${String(!isFresh)}>
        ${rows.map((row, place) => html`<li ...${rowAttributes(row)} id=${`${rowId}-${place}`} role="row"
          class="popup-row" onClick=${keepOpen ? undefined : () => choose(row)} aria-selected=${String(place === active)}>${renderRow(row, place === active)}</li>`)}
      </ul>
      ${error && html`<p class="popup-note">${error.message} <button type="button" class="link" onClick=${retry}>Try again</button></p>`}
      ${status && !(rows.length && !isFresh) && html`<p class="popup-note">${status}</p>`}
      ${rows.length > 0 && html`<p class="popup-help" aria-hidden="true">${help}</p>`}
    </div>
    <span id=${`${inputId}-help`} class="sr-only">${help}</span>
    <span class="sr-only" role="status">${isOpen && isFresh ? (rows.length ? `${rows.length} results` : status) : ""}</span>
  </div>`;
}
