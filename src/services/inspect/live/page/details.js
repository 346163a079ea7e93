// All of one request.

import { bodyUrl, inbox, page } from "./api.js";
import { bodyElement, hexLines, readableLines, textLines } from "./body.js";
import { bytes, clock, make, time } from "./dom.js";

export function facts(request) {
  const list = [clock(Date.parse(request.received), true)];
  if (request.client) list.push(`from ${request.client}`);
  if (request.version) list.push(request.version);
  return [...list, ...outcome(request.response)];
}

/** What has become of a request. */
function outcome(response) {
  if (!response) return ["waits for its response"];
  const list = [];
  if (response.outcome === "left") list.push(`no response after ${time(response.us)}`);
  else if (response.outcome === "unsent") list.push(`nothing sent after ${time(response.us)}`);
  else {
    list.push(`${response.status} ${response.reason ?? ""}`.trim(), time(response.us));
    if (response.length != null) list.push(`${bytes(response.length)} sent`);
  }
  if (response.rejected) list.push(`rejected: ${response.rejected}`);
  if (response.faults) list.push(`fault: ${response.faults}`);
  return list;
}

const title = ({ method, target }) => (method ? `${method} ${target}` : "A request without a readable head");

/** The element that shows a request. `tools` are its buttons. */
export function requestElement(request, { isRaw, tools }) {
  return make("article", { class: "request", "data-id": request.id },
    make("div", { class: "head" },
      make("h2", {}, title(request)),
      make("p", { class: "facts" }, ...facts(request).map((fact) => make("span", {}, fact))),
      make("div", { class: "tools", role: "toolbar", "aria-label": "This request" }, ...tools)),
    ...(isRaw ? raw(request) : readable(request)));
}

function readable(request) {
  return [
    ...section("Query", pairs(request.query)),
    ...section("Headers", fields(request.headers)),
    ...section("Form", pairs(request.form ?? [])),
    ...(request.body.kept > 0 ? section("Body", bodyElement(request.id, request.body)) : []),
    truncated(request.body),
    ...section("Chunks", request.chunks.length ? make("pre", {}, request.chunks.join("\n")) : null),
    ...section("Trailers", fields(request.trailers)),
    ...section("Connection", connection(request.connection)),
  ];
}

/** The head as it was sent, and the body behind it: text as it is, all else as hexadecimal numbers. */
function raw(request) {
  const { body } = request;
  const isText = body.encoding === "text";
  const line = (text) => make("div", { class: "line" }, text);
  // The last line end of the head begins the line of the body.
  const text = isText ? request.head + body.content : request.head.replace(/\r\n$/, "");
  return [
    make("h3", {}, "As sent"),
    make("div", { class: "content" }, make("pre", { tabindex: "0", "aria-label": "Request as sent" },
      ...textLines(text).map(line),
      ...(isText ? [] : hexLines(body.content).map(line)))),
    isText ? null : make("p", { class: "note" }, `The body is binary: ${bytes(body.length)}, shown as hexadecimal numbers. `,
      make("a", { href: bodyUrl(request.id), download: "" }, "Download")),
    request.chunks.length ? make("p", { class: "note" }, "The body is shown without the lines of its chunks.") : null,
    truncated(body),
  ];
}

function truncated(body) {
  if (body.kept >= body.length) return null;
  if (body.kept === 0) return make("p", { class: "note" }, `${bytes(body.length)} of the body had arrived. They were not kept.`);
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
