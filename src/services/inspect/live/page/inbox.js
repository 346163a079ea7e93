// The address of an inbox, and the response that it gives.

import { answer, inbox, setAnswer } from "./api.js";
import { byId, copy, toast } from "./dom.js";

/** Characters of an id that can't be guessed: 128 bits. */
const ID_BYTES = 16;

/** Goes to the page of a new inbox. */
export function openNew() {
  const random = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  const id = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  location.assign(`/inspect/inbox/${id}`);
}

/** Shows the inbox of this page, if it is the page of one. */
export async function start() {
  if (!inbox) return;
  document.title = `Inbox ${inbox.slice(0, 8)}`;
  const address = `${location.origin}/inbox/${inbox}`;
  byId("inbox").hidden = false;
  byId("inbox-address").textContent = address;
  byId("inbox-copy").addEventListener("click", () => copy(address, "the address"));
  byId("inbox-form").addEventListener("submit", save);
  try {
    fill(await answer());
  } catch (error) {
    toast(error.message);
  }
}

function fill({ status, headers, body, delay_ms: delay }) {
  byId("inbox-status").value = status;
  byId("inbox-delay").value = delay;
  byId("inbox-headers").value = headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  byId("inbox-body").value = body;
  byId("inbox-summary").textContent = delay ? `${status} after ${delay} ms` : `${status}`;
}

async function save(event) {
  event.preventDefault();
  const lines = byId("inbox-headers").value.split("\n").filter((line) => line.trim());
  const value = {
    status: Number(byId("inbox-status").value),
    delay_ms: Number(byId("inbox-delay").value),
    headers: lines.map((line) => {
      const [name, ...rest] = line.split(":");
      return [name.trim(), rest.join(":").trim()];
    }),
    body: byId("inbox-body").value,
  };
  const saved = byId("inbox-saved");
  try {
    await setAnswer(value);
    fill(value);
    saved.textContent = "Saved.";
  } catch (error) {
    saved.textContent = error.message;
  }
}
