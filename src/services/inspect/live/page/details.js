// All of one request.

import { inbox, page } from "./api.js";
import { bodyElement, readableLines } from "./body.js";
import { bytes, clock, make, time } from "./dom.js";

/** The head as it was sent, with the body behind it if that is text. */
const rawText = (request) => request.head + (request.body.encoding === "text" ? request.body.content : "");

export function facts(request) {
  const { response } = request;
  const list = [clock(Date.parse(request.received), true)];
  if (request.client) list.push(`from ${request.client}`);
  list.push(request.version);
  if (!response) list.push("waits for its response");
  else if (response.status === undefined) list.push(`no response after ${time(response.us)}`);
  else {
    list.push(`${response.status} ${response.reason ?? ""}`.trim());
    list.push(time(response.us));
    if (response.length != null) list.push(`${bytes(response.length)} sent`);
  }
  return list;
}

/** The element that shows a request. `tools` are its buttons. */
export function requestElement(request, { isRaw, tools }) {
  return make("article", { class: "request", "data-id": request.id },
    make("div", { class: "head" },
      make("h2", {}, `${request.method} ${request.target}`),
      make("p", { class: "facts" }, ...facts(request).map((fact) => make("span", {}, fact))),
      make("div", { class: "tools", role: "toolbar", "aria-label": "This request" }, ...tools)),
    ...(isRaw ? raw(request) : readable(request)));
}

function readable(request) {
  return [
    ...section("Query", pairs(request.query)),
    ...section("Headers", fields(request.headers)),
    ...section("Form", pairs(request.form ?? [])),
    ...(request.body.length > 0 ? section("Body", bodyElement(request.id, request.body)) : []),
    truncated(request.body),
    ...section("Chunks", request.chunks.length ? make("pre", {}, request.chunks.join("\n")) : null),
    ...section("Trailers", fields(request.trailers)),
    ...section("Connection", connection(request.connection)),
  ];
}

function raw(request) {
  const lines = rawText(request).split("\n").map((line) => make("div", { class: "line" }, line.replace(/\r$/, "")));
  return [
    make("h3", {}, "As sent"),
    make("div", { class: "content" }, make("pre", { tabindex: "0", "aria-label": "Request as sent" }, ...lines)),
    request.body.encoding === "text" ? null : make("p", { class: "note" }, `The body is binary: ${bytes(request.body.length)}.`),
    truncated(request.body),
  ];
}

function truncated(body) {
  if (body.kept >= body.length) return null;
  return make("p", { class: "note" }, `Only the first ${bytes(body.kept)} of ${bytes(body.length)} were kept.`);
}

function section(title, content) {
  return content ? [make("h3", {}, title), content] : [];
}

function table(rows) {
  return rows.length ? make("table", {}, make("tbody", {}, ...rows)) : null;
}

function pairs(list) {
  return table(list.map(([name, value]) => make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value))));
}

function fields(list) {
  return table(list.map(({ name, value, masked }) => make("tr", {},
    make("th", { scope: "row" }, name),
    make("td", { class: masked ? "masked" : null, title: masked ? "Masked. Press s to show secrets." : null }, value))));
}

/** An object as rows; objects in it as JSON. */
function connection(value) {
  if (!value) return null;
  const rows = Object.entries(value).filter(([, item]) => item != null && item !== "");
  return pairs(rows.map(([name, item]) => [name, typeof item === "object" ? JSON.stringify(item, null, 1) : String(item)]));
}

/** The lines by which two requests are compared. */
export function lines(request) {
  const head = request.head.split("\r\n").filter((line) => line !== "");
  const body = request.body.length ? ["", ...readableLines(request.body)] : [];
  return [...head, ...body];
}

export const permalink = (id) => (inbox ? `${page}/r/${id}` : `/inspect/r/${id}`);
