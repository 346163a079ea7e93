// The requests that this page knows, and which of them pass the filter.

/** Requests by id, oldest first. Bounded as the server's history is. */
const known = new Map();
let limit = 500;
let held = null;
let heldReset = false;

/** Shown requests, newest first. */
export let shown = [];
/** How many requests the server has received since it started. */
export let total = 0;

export const count = () => known.size;
export const get = (id) => known.get(id);
export const isPaused = () => held !== null;
/** New requests that a pause holds back. */
export const heldCount = () => [...(held?.keys() ?? [])].filter((id) => !known.has(id)).length;

/** Adds a group of requests from the server. */
export function add(batch) {
  limit = batch.limit;
  total = batch.total;
  if (held) {
    if (batch.reset) {
      held.clear();
      heldReset = true;
    }
    for (const request of batch.requests) put(held, request);
    return;
  }
  if (batch.reset) known.clear();
  for (const request of batch.requests) put(known, request);
  filterAll();
}

/** A request that is there keeps its place. */
function put(map, request) {
  map.set(request.id, request);
  while (map.size > limit) map.delete(map.keys().next().value);
}

/** Shows these requests until `resume`. */
export function pause(requests) {
  add({ limit, total, reset: true, requests });
  held = new Map();
  heldReset = false;
}

export function resume() {
  const requests = [...held.values()];
  const reset = heldReset;
  held = null;
  add({ limit, total, reset, requests });
}

let words = [];

/** Sets the filter. All of its words must match. */
export function setFilter(text) {
  words = text.trim().split(/\s+/).filter(Boolean).map(parse);
  filterAll();
}

function parse(word) {
  const isNegated = word.length > 1 && word.startsWith("-");
  const plain = isNegated ? word.slice(1) : word;
  const test = matcher(plain);
  return isNegated ? (request) => !test(request) : test;
}

function matcher(word) {
  if (/^[1-5](\d\d|xx)$/i.test(word)) {
    const start = word.replace(/x/gi, "");
    return ({ status, target }) => String(status ?? "").startsWith(start) || target.includes(word);
  }
  if (/^[A-Z]+$/.test(word)) return ({ method, target }) => method === word || target.includes(word);
  const lower = word.toLowerCase();
  return ({ method, target, faults }) => target.toLowerCase().includes(lower) || method.toLowerCase() === lower
    || Boolean(faults) && (lower.startsWith("fault") ? `fault:${faults}` : faults).includes(lower);
}

function filterAll() {
  shown = [];
  for (const request of known.values()) {
    if (words.every((matches) => matches(request))) shown.push(request);
  }
  shown.sort((one, other) => other.id - one.id);
}
