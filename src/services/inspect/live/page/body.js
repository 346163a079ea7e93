// The body of a request: readable, with a search.

import { bodyUrl } from "./api.js";
import { bytes, make } from "./dom.js";

/** More lines than people read, and few enough for a page that responds quickly. */
const MAX_LINES = 5_000;

/** Deeper lists and objects of JSON stay as they were sent. Indenting all of them would make a long text of a short one. */
const MAX_DEPTH = 50;

/** Longer lines have no colours: each part of one is an element. */
const MAX_COLOURED = 2_000;

/** Marks in one line. */
const MAX_MARKS = 500;

/** Bytes of a binary body that are shown as hexadecimal. */
const MAX_HEX = 4_096;

/**
 * The lines of a body as it is read: JSON is indented, all other text stays as it is. The last line has
 * the rest of a long one.
 */
export function readableLines(body) {
  if (body.encoding !== "text") return hexLines(body.content);
  return looksLikeJson(body) ? indented(body.content) : textLines(body.content);
}

function looksLikeJson(body) {
  if (!/(^|[/+])json$/.test(body.type) && !/^\s*[[{]/.test(body.content)) return false;
  try {
    JSON.parse(body.content);
    return true;
  } catch {
    return false;
  }
}

/** The lines of a text; the last one has the rest of a long text. */
export function textLines(text) {
  const lines = text.split(/\r\n|\n/);
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES - 1), lines.slice(MAX_LINES - 1).join("\n")];
}

/** The tokens of JSON. Numbers, escapes and repeated keys stay as they were sent. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[[\]{}:,]|[^\s[\]{}:,"]+/g;

const OPENS = new Set(["{", "["]);
const CLOSES = new Set(["}", "]"]);

function indented(json) {
  const tokens = [...json.matchAll(TOKENS)];
  const lines = [];
  let line = "";
  let depth = 0;
  const end = () => {
    lines.push(line);
    line = "  ".repeat(depth);
  };
  for (let at = 0; at < tokens.length; at += 1) {
    const { 0: token, index } = tokens[at];
    if (lines.length === MAX_LINES - 1) return [...lines, line + json.slice(index)];
    if (OPENS.has(token) && depth === MAX_DEPTH) {
      const last = closing(tokens, at);
      line += json.slice(index, tokens[last].index + 1);
      at = last;
    } else if (OPENS.has(token)) {
      line += token;
      depth += 1;
      if (!CLOSES.has(tokens[at + 1][0])) end();
    } else if (CLOSES.has(token)) {
      depth -= 1;
      if (!OPENS.has(tokens[at - 1][0])) end();
      line += token;
    } else {
      line += token === ":" ? ": " : token;
      if (token === ",") end();
    }
  }
  return [...lines, line];
}

/** The place of the token that closes the list or object which begins at this place. */
function closing(tokens, start) {
  let depth = 0;
  let at = start;
  do {
    if (OPENS.has(tokens[at][0])) depth += 1;
    else if (CLOSES.has(tokens[at][0])) depth -= 1;
    at += 1;
  } while (depth > 0);
  return at - 1;
}

/** A body of base64 as hexadecimal numbers and the characters that they stand for. */
export function hexLines(base64) {
  const data = atob(base64);
  const lines = [];
  for (let at = 0; at < Math.min(data.length, MAX_HEX); at += 16) {
    const part = [...data.slice(at, at + 16)];
    const hex = part.map((char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
    const plain = part.map((char) => (char >= " " && char <= "~" ? char : ".")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(47)}  ${plain}`);
  }
  if (data.length > MAX_HEX) lines.push(`… ${bytes(data.length - MAX_HEX)} more`);
  return lines;
}

/** A line of JSON in colours, each part as text. */
const PARTS = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\w.+-]*)|\b(true|false|null)\b/g;

function coloured(line) {
  if (line.length > MAX_COLOURED) return [line];
  const nodes = [];
  let end = 0;
  for (const match of line.matchAll(PARTS)) {
    nodes.push(line.slice(end, match.index));
    const [whole, string, colon, number] = match;
    if (string) {
      nodes.push(make("span", { class: colon ? "key" : "string" }, string), colon ?? "");
    } else nodes.push(make("span", { class: number ? "number" : "literal" }, whole));
    end = match.index + whole.length;
  }
  nodes.push(line.slice(end));
  return nodes;
}

function marked(line, word) {
  const nodes = [];
  const lower = line.toLowerCase();
  let end = 0;
  for (let at = lower.indexOf(word); at >= 0 && nodes.length < 2 * MAX_MARKS; at = lower.indexOf(word, end)) {
    nodes.push(line.slice(end, at), make("mark", {}, line.slice(at, at + word.length)));
    end = at + word.length;
  }
  nodes.push(line.slice(end));
  return nodes;
}

/** The element with a body and its search. */
export function bodyElement(id, body) {
  if (body.length === 0) return make("p", { class: "quiet" }, "empty");
  const lines = readableLines(body);
  const isJson = body.encoding === "text" && looksLikeJson(body);
  const plain = (line) => (isJson ? coloured(line) : [line]);
  const rows = lines.map((line) => make("div", { class: "line" }, ...plain(line)));
  const pre = make("pre", { tabindex: "0", "aria-label": "Body" }, ...rows);

  const found = make("span", { role: "status" });
  const input = make("input", {
    type: "search", class: "body-search", placeholder: "Search the body", "aria-label": "Search the body",
    autocomplete: "off", spellcheck: "false",
  });
  let matches = [];
  let current = -1;
  const show = () => {
    found.textContent = input.value && (matches.length ? `${current + 1} of ${matches.length}` : "not found");
    rows.forEach((row, at) => row.classList.toggle("current", at === matches[current]));
    rows[matches[current]]?.scrollIntoView({ block: "nearest" });
  };
  input.addEventListener("input", () => {
    const word = input.value.toLowerCase();
    matches = [];
    rows.forEach((row, at) => {
      const isMatch = word !== "" && lines[at].toLowerCase().includes(word);
      if (isMatch) matches.push(at);
      if (isMatch || row.querySelector("mark")) {
        row.replaceChildren(...(isMatch ? marked(lines[at], word) : plain(lines[at])));
      }
    });
    current = matches.length ? 0 : -1;
    show();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !matches.length) return;
    const step = event.shiftKey ? -1 : 1;
    current = (current + step + matches.length) % matches.length;
    show();
  });

  const facts = [body.type || "no content type", bytes(body.length)];
  if (body.encoding !== "text") facts.push("binary");
  return make("div", { class: "content" },
    make("div", { class: "bar" },
      make("span", {}, facts.join(" · ")),
      make("a", { class: "button", href: bodyUrl(id), download: "" }, "Download"),
      found, input),
    pre);
}
