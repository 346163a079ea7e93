// The page: the actions of its buttons and keys.

import * as api from "./api.js";
import { compareElement } from "./compare.js";
import { permalink, requestElement } from "./details.js";
import { byId, copy, make, toast } from "./dom.js";
import * as inbox from "./inbox.js";
import * as list from "./list.js";
import * as store from "./store.js";
import { listen } from "./stream.js";

const pane = byId("details");

/** The request that is shown, and the one that others are compared with. */
let shown = null;
let base = null;
let isRaw = false;

const view = (name) => { document.body.dataset.view = name; };

function placeholder(text) {
  pane.replaceChildren(make("p", { class: "placeholder" }, text));
}

/** Loads and shows a request. */
async function choose(id, { keepView = false } = {}) {
  list.select(id);
  if (!keepView) view("request");
  history.replaceState(null, "", permalink(id));
  let request;
  try {
    request = await api.details(id);
  } catch (error) {
    return placeholder(error.message);
  }
  if (list.selected !== id) return;
  if (!request) {
    return placeholder(`Request ${id} is not kept any more. Press p to keep what is shown.`);
  }
  shown = request;
  show();
}

function show() {
  if (!shown) return;
  if (base && base.id !== shown.id) {
    pane.replaceChildren(compareElement(base, shown, [button("Back", close, "back"), button("End comparison (c)", compare)]));
  } else {
    pane.replaceChildren(requestElement(shown, { isRaw, tools: tools() }));
  }
  pane.scrollTop = 0;
}

const button = (text, action, kind = null, pressed = null) =>
  make("button", { type: "button", class: kind, "aria-pressed": pressed, onclick: action }, text);

function tools() {
  return [
    button("Back", close, "back"),
    button("Raw", raw, null, String(isRaw)),
    shown.head ? button("Copy as curl", copyCurl) : null,
    button("Copy link", () => copy(location.origin + permalink(shown.id), "the link")),
    button(base ? "Comparing: choose another" : "Compare", compare, null, String(Boolean(base))),
  ];
}

function raw() {
  isRaw = !isRaw;
  show();
}

async function copyCurl() {
  if (!shown?.head) return;
  try {
    const isMasked = shown.headers.some(({ masked }) => masked);
    await copy(await api.curl(shown.id), isMasked ? "the command, with secrets masked" : "the command");
  } catch (error) {
    toast(error.message);
  }
}

/** The first time chooses the request to compare with, the second time ends the comparison. */
function compare() {
  if (!shown) return;
  base = base ? null : shown;
  list.setBase(base?.id ?? null);
  if (base) {
    toast("Choose another request to compare.");
    view("list");
  }
  show();
}

function close() {
  view("list");
  byId("list").focus();
}

async function pause() {
  try {
    if (store.isPaused()) {
      store.resume();
      await api.release();
    } else store.pause(await api.hold());
  } catch (error) {
    toast(error.message);
  }
  state(connection);
  list.draw();
}

let connection = "connecting";

function state(name) {
  connection = name;
  const element = byId("state");
  const button = byId("pause");
  const isPaused = store.isPaused();
  element.dataset.state = name === "live" && isPaused ? "paused" : name;
  element.textContent = name === "disconnected" ? "disconnected, trying again"
    : isPaused ? "paused" : name;
  button.setAttribute("aria-pressed", String(isPaused));
  button.textContent = isPaused ? `Continue (${store.heldCount()})` : "Pause";
}

function batch(requests) {
  store.add(requests);
  if (store.isPaused()) return state(connection);
  list.draw();
  const now = shown && requests.requests.find(({ id }) => id === shown.id);
  if (now && !base && now.outcome !== (shown.response?.outcome ?? "open")) choose(shown.id, { keepView: true });
}

async function secrets() {
  api.setSecrets(!api.showsSecrets());
  byId("secrets").setAttribute("aria-pressed", String(api.showsSecrets()));
  byId("secrets").textContent = api.showsSecrets() ? "Mask secrets" : "Show secrets";
  exports();
  if (base) base = (await api.details(base.id)) ?? base;
  if (shown) choose(shown.id, { keepView: true });
}

function exports() {
  byId("export-har").href = api.exportUrl("har");
  byId("export-json").href = api.exportUrl("json");
}

/** Asks first, because nothing brings the requests back. */
function askToClear() {
  const count = store.count();
  if (!count) return;
  byId("forget-count").textContent = count === 1 ? "1 request" : `${count} requests`;
  byId("forget").showModal();
}

async function clear() {
  try {
    await api.clear();
    shown = base = null;
    list.setBase(null);
    placeholder("All requests are forgotten.");
    view("list");
    history.replaceState(null, "", api.page);
  } catch (error) {
    toast(error.message);
  }
}

const help = () => byId("help").showModal();

const KEYS = {
  j: () => list.move(1),
  k: () => list.move(-1),
  ArrowDown: () => list.move(1),
  ArrowUp: () => list.move(-1),
  Enter: () => {
    if (list.selected === null) return;
    view("request");
    pane.focus();
  },
  Escape: close,
  "/": () => {
    view("list");
    byId("filter").focus();
  },
  f: () => pane.querySelector(".body-search")?.focus(),
  r: raw,
  y: copyCurl,
  c: compare,
  s: secrets,
  p: pause,
  "?": help,
};

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  const isField = target.matches("input, textarea");
  if (isField && event.key === "Escape") {
    target.blur();
    return byId("list").focus();
  }
  const isControl = event.key === "Enter" && target.matches("button, a, summary");
  const scrolls = event.key.startsWith("Arrow") && target.id !== "list";
  if (isField || isControl || scrolls || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
}

function start() {
  list.start(choose);
  document.addEventListener("keydown", key);
  byId("filter").addEventListener("input", (event) => {
    store.setFilter(event.target.value);
    list.draw();
  });
  byId("filter").addEventListener("keydown", (event) => {
    if (event.key === "Enter") byId("list").focus();
  });
  byId("pause").addEventListener("click", pause);
  byId("clear").addEventListener("click", askToClear);
  byId("forget").addEventListener("close", ({ target }) => {
    if (target.returnValue === "forget") clear();
    target.returnValue = "";
  });
  byId("secrets").addEventListener("click", secrets);
  byId("new-inbox").addEventListener("click", inbox.openNew);
  byId("help-open").addEventListener("click", help);
  const path = api.inbox ? `/inbox/${api.inbox}` : "/anything";
  const command = `curl ${location.origin}${path} -d hello`;
  byId("empty-command").textContent = command;
  byId("empty-copy").addEventListener("click", () => copy(command, "the command"));
  exports();
  inbox.start();
  listen({ batch, state });
  // A browser that has the cookie opens the address with the token again.
  if (location.hash.startsWith("#token=")) history.replaceState(null, "", location.pathname);
  const id = api.linked();
  if (id !== null) choose(id);
}

start();
