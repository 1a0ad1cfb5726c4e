// What the page remembers between visits: the visitor's taste and the theme.
// It stays in this browser; the service only sees the ids in each request.
import { useCallback, useEffect, useMemo, useState } from "/static/vendor/preact-htm.js";

const TASTE = "shortlist.taste";
const THEME = "shortlist.theme";
const EMPTY = { liked: [], disliked: [] };

function read(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? fallback;
  } catch {
    return fallback; // storage switched off, or not our JSON
  }
}

function write(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Full or switched off: the taste then lasts until the page is closed.
  }
}

/** Ids are opaque: 7 and "7" name the same item, and are sent as they came. */
export const sameId = (a, b) => String(a) === String(b);

const without = (items, id) => items.filter((item) => !sameId(item.item_id, id));

/** Keeps what a card shows, not what belonged to the list it was picked from. */
function cardOf({ score, rank, reasons, attributions, moves, popularity, liked, disliked, timestamp, contribution, ...card }) {
  return card;
}

function readTaste() {
  const stored = read(TASTE, EMPTY);
  const list = (value) => (Array.isArray(value) ? value.filter((item) => item?.item_id != null) : []);
  return { liked: list(stored.liked), disliked: list(stored.disliked) };
}

/**
 * The taste and the three things one can do to it. Lists run from the oldest
 * to the newest choice, as the histories that the model was trained on do.
 */
export function useTaste() {
  const [lists, setLists] = useState(readTaste);
  useEffect(() => write(TASTE, lists), [lists]);

  /** verdict: "like", "dislike", or null to forget the item. */
  const rate = useCallback((item, verdict) => {
    setLists(({ liked, disliked }) => {
      const next = { liked: without(liked, item.item_id), disliked: without(disliked, item.item_id) };
      if (verdict === "like") next.liked.push(cardOf(item));
      if (verdict === "dislike") next.disliked.push(cardOf(item));
      return next;
    });
  }, []);

  return useMemo(() => {
    const verdicts = new Map();
    for (const item of lists.liked) verdicts.set(String(item.item_id), "like");
    for (const item of lists.disliked) verdicts.set(String(item.item_id), "dislike");
    return {
      ...lists,
      verdictOf: (id) => verdicts.get(String(id)) ?? null,
      rate,
      reset: () => setLists(EMPTY),
    };
  }, [lists]);
}

const systemTheme = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

/** [theme in force, toggle]; follows the system until the visitor chooses. */
export function useTheme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? systemTheme());
  useEffect(() => {
    const query = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => {
      if (!document.documentElement.dataset.theme) setTheme(systemTheme());
    };
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  const toggle = () => {
    const next = theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    write(THEME, next);
    setTheme(next);
  };
  return [theme, toggle];
}
