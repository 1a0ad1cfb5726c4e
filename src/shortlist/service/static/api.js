// Talks to the service. Every function takes an AbortSignal last and gives a
// promise of the parsed JSON; failures are ApiErrors that a person can read.
import { useCallback, useEffect, useState } from "/static/vendor/preact-htm.js";

export class ApiError extends Error {
  constructor(message, { status = 0, title = "" } = {}) {
    super(message);
    this.status = status;
    this.title = title;
  }
}

/** The detail of a problem+json body may be a text or a list of faults. */
function detailText(detail) {
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return "";
  return detail.map((fault) => fault?.msg ?? fault?.message ?? String(fault)).join("; ");
}

async function problemOf(response) {
  const problem = await response.json().catch(() => ({}));
  const title = problem?.title || response.statusText || `Error ${response.status}`;
  return new ApiError(detailText(problem?.detail) || title, { status: response.status, title });
}

const KEPT = "shortlist.key";
export const KEY_REFUSED = "shortlist:key-refused";

/** For this tab and no longer; letters, digits, - and _ alone, since anything else is no key and no header either. */
export const keepKey = (key) => sessionStorage.setItem(KEPT, key.replace(/[^\w-]/g, ""));

function keyHeader() {
  let key = null;
  try {
    key = sessionStorage.getItem(KEPT);
  } catch {
    // a browser that keeps nothing: go on without
  }
  return key ? { authorization: `Bearer ${key}` } : {};
}

async function request(path, { signal, body, bytes = false } = {}) {
  const options = { signal, headers: { accept: "application/json", ...keyHeader() } };
  if (body !== undefined) {
    options.method = "POST";
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The service cannot be reached. Is it still running?", { title: "No connection" });
  }
  if (!response.ok) {
    const error = await problemOf(response);
    if (error.status === 401 || error.status === 403) dispatchEvent(new CustomEvent(KEY_REFUSED, { detail: error }));
    throw error;
  }
  return (bytes ? response.arrayBuffer() : response.json()).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The service gave an answer that cannot be read.", { status: response.status });
  });
}

const segment = (id) => encodeURIComponent(String(id));

function query(parameters) {
  const each = Object.entries(parameters).flatMap(([name, value]) => [value].flat().map((one) => [name, one]));
  const given = each.filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export const searchItems = (search, limit, signal) =>
  request(`/v1/items${query({ search, limit })}`, { signal });

/** asked: {search, tag, sort, limit, offset}, all optional. */
export const browseItems = (asked, signal) => request(`/v1/items${query(asked)}`, { signal });

export const getTags = (limit, signal) => request(`/v1/tags${query({ limit })}`, { signal });

export const getItem = (itemId, signal) => request(`/v1/items/${segment(itemId)}`, { signal });

export const getAudience = (itemId, k, signal) => request(`/v1/items/${segment(itemId)}/audience${query({ k })}`, { signal });

export const similarItems = (itemId, k, signal) =>
  request(`/v1/items/${segment(itemId)}/similar${query({ k })}`, { signal });

export const searchUsers = (search, limit, signal) =>
  request(`/v1/users${query({ search, limit })}`, { signal });

export const getUser = (userId, signal) => request(`/v1/users/${segment(userId)}`, { signal });

/** For whoever looks at this user's list: the user does not see it, so that no experiment keeps it. */
export const recommendForUser = (userId, k, signal) =>
  request(`/v1/recommendations/${segment(userId)}${query({ k, explain: "full", expose: "false" })}`, { signal });

/** What a known user does: kept by the service, and part of the next answer. */
export const sendEvent = (userId, itemId, event, signal) =>
  request("/v1/events", { signal, body: { user_id: userId, item_id: itemId, event } });

export const recommendForTaste = (body, signal) => request("/v1/recommendations", { signal, body });

export const getReport = (signal) => request("/v1/report", { signal });

/** A link cannot bear a key, so with one the page is fetched and saved; true: that is under way. */
export function saveWithKey(path, name) {
  if (!keyHeader().authorization) return false;
  request(path, { bytes: true }).then((page) => {
    const link = Object.assign(document.createElement("a"), { download: name });
    link.href = URL.createObjectURL(new Blob([page], { type: "text/html" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }, () => {}); // a refusal has its form
  return true;
}

export const getMap = (signal) => request("/v1/map", { signal });

export const getMapPoints = (signal) => request("/v1/map/points", { signal, bytes: true });

/** which: {places: "1,2"} or {id: [ids]}. */
export const getMapItems = (which, signal) => request(`/v1/map/items${query(which)}`, { signal });

export const landOnMap = (body, signal) => request("/v1/map/query", { signal, body });

/** Which steps shape a list, those of the artifact, and what they were measured to cost. */
export const getShape = (signal) => request("/v1/shape", { signal });

/** A list before and after the steps of body.rerank. */
export const shapeList = (body, signal) => request("/v1/shape", { signal, body });

/** What happens right now: totals since the start, and the newest events. */
export const getLive = (events, signal) => request(`/v1/live${query({ events })}`, { signal });

const IDLE = { data: null, error: null, loading: false };

/**
 * Loads when `deps` change; `load(signal)` gives a promise, or `load` is null
 * for nothing to load. A newer load aborts the older one, so a late answer
 * never overwrites a newer one. The last data stays while the next loads:
 * what is on the screen can be dimmed instead of taken away.
 */
export function useResource(load, deps) {
  const [state, setState] = useState(load ? { ...IDLE, loading: true } : IDLE);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (!load) {
      setState(IDLE);
      return undefined;
    }
    const controller = new AbortController();
    const settle = (change) => {
      if (!controller.signal.aborted) setState((old) => ({ ...old, ...change, loading: false }));
    };
    setState((old) => ({ ...old, error: null, loading: true }));
    load(controller.signal).then(
      (data) => settle({ data, error: null }),
      (error) => settle({ error }),
    );
    return () => controller.abort();
  }, [...deps, attempt]);
  const retry = useCallback(() => setAttempt((count) => count + 1), []);
  return { ...state, retry };
}
