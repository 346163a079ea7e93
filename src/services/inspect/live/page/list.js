// The list of requests. Only the rows in sight exist, so it does not matter how many there are.

import { inbox } from "./api.js";
import { byId, clock, make, time } from "./dom.js";
import * as store from "./store.js";

const list = byId("list");
const rows = byId("rows");
const phone = matchMedia("(max-width: 50rem)");
/** Rows beyond the visible ones, so that scrolling shows no gap. */
const BEYOND = 8;

export let selected = null;
let base = null;
let isQueued = false;
let newest = null;
let onChoose = () => {};

const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).fontSize) * (phone.matches ? 3.5 : 2.25);

export function start(choose) {
  onChoose = choose;
  list.addEventListener("scroll", draw);
  phone.addEventListener("change", draw);
  new ResizeObserver(draw).observe(list);
  rows.addEventListener("click", (event) => {
    const row = event.target.closest(".row");
    if (row) choose(Number(row.dataset.id));
  });
}

/** Draws with the next frame, however often it is called until then. */
export function draw() {
  if (isQueued) return;
  isQueued = true;
  requestAnimationFrame(() => {
    isQueued = false;
    render();
  });
}

function render() {
  const height = rowHeight();
  keepPlace(height);
  const { shown } = store;
  rows.style.height = `${shown.length * height}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / height) - BEYOND);
  const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / height) + BEYOND);
  rows.replaceChildren(...shown.slice(first, last).map((request, at) => {
    const element = row(request, first + at, shown.length);
    element.style.top = `${(first + at) * height}px`;
    return element;
  }));
  if (rows.querySelector(`#row-${selected}`)) list.setAttribute("aria-activedescendant", `row-${selected}`);
  else list.removeAttribute("aria-activedescendant");
  counts();
}

/** New rows come at the top. The visible rows keep their place, unless the top of the list is visible. */
function keepPlace(height) {
  const { shown } = store;
  const at = newest === null ? -1 : shown.findIndex(({ id }) => id <= newest);
  if (at > 0 && list.scrollTop > height / 2) {
    rows.style.height = `${shown.length * height}px`;
    list.scrollTop += at * height;
  }
  newest = shown[0]?.id ?? null;
}

function counts() {
  const { shown } = store;
  const all = store.count();
  byId("count").textContent = shown.length === all ? `${all}` : `${shown.length} of ${all}`;
  byId("count").title = `${store.total} since the server started`;
  byId("empty").hidden = all > 0;
  list.hidden = all === 0;
}

/** The words in the place of a status, for outcomes without one. */
const WITHOUT_STATUS = { unsent: "nothing sent", left: "left", open: "waiting" };

/** The target. An inbox leaves out what its requests have in common. */
function target({ method, target: whole }) {
  if (!method) return "(no readable head)";
  const common = `/inbox/${inbox}`;
  const isBelow = inbox && whole.startsWith(common);
  const rest = isBelow ? whole.slice(common.length) : whole;
  return rest.startsWith("/") || !isBelow ? rest : `/${rest}`;
}

function row(request, index, size) {
  const words = WITHOUT_STATUS[request.outcome];
  const { faults } = request;
  return make("div", {
    class: ["row", request.id === base && "base", words && "without"].filter(Boolean).join(" "),
    role: "option",
    id: `row-${request.id}`,
    "data-id": request.id,
    "aria-selected": String(request.id === selected),
    "aria-posinset": index + 1,
    "aria-setsize": size,
  },
  make("time", {}, clock(request.at)),
  make("span", { class: "method" }, request.method),
  make("span", { class: "target", title: request.target },
    make("span", { class: "path" }, target(request)),
    faults && make("span", { class: "fault", title: `fault: ${faults}` }, "fault")),
  make("span", { class: "status", "data-class": String(request.status ?? "")[0] }, words ?? String(request.status)),
  make("span", { class: "took" }, words ? "" : time(request.us)));
}

/** Marks a request, and scrolls to it. */
export function select(id) {
  selected = id;
  const index = store.shown.findIndex((request) => request.id === id);
  if (index >= 0) {
    const height = rowHeight();
    const top = index * height;
    rows.style.height = `${store.shown.length * height}px`;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + height > list.scrollTop + list.clientHeight) list.scrollTop = top + height - list.clientHeight;
  }
  draw();
}

/** Marks the request that another one is compared with. */
export function setBase(id) {
  base = id;
  draw();
}

/** Goes to an older (1) or newer (-1) request. */
export function move(step) {
  const { shown } = store;
  if (!shown.length) return;
  const index = shown.findIndex((request) => request.id === selected);
  const next = index < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, index + step));
  onChoose(shown[next].id, { keepView: true });
}
