// The events of the server, over a connection that is opened again after a failure.

import { api } from "./api.js";

/** The longest wait before another attempt, in milliseconds. */
const LONGEST_WAIT = 10_000;

/**
 * Calls `batch` with each group of requests, and `state` with `live` or `disconnected` and a reason.
 * A browser reconnects by itself unless the response was an error; then this does.
 */
export function listen({ batch, state }) {
  let last = "";
  let wait = 500;

  function connect() {
    const after = last ? `?after=${encodeURIComponent(last)}` : "";
    const source = new EventSource(`${api}/events${after}`);
    source.addEventListener("open", () => {
      wait = 500;
      state("live");
    });
    source.addEventListener("requests", (event) => {
      last = event.lastEventId;
      batch(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      state("disconnected");
      if (source.readyState !== EventSource.CLOSED) return;
      setTimeout(connect, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    });
  }

  connect();
}
