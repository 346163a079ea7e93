// Node's built-in fetch.

import { randomBytes } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import {
  METHODS, MiB, PAGE, bounded, check, expect, expectBytes, require, url,
} from "./checks.mjs";

// The number of connections opened by all checks.
let opened = 0;
subscribe("undici:client:connected", () => opened++);

const post = (body, more = {}) => fetch(url, { method: "POST", body, ...more });
const bytes = async (response) => new Uint8Array(await response.arrayBuffer());

// A request may start a moment before the previous one's connection is free again, and then opens
// another one: at most twice as many connections as concurrent requests.
const mostOf = (requests) => 2 * requests;

// A stream has no known length, so it is sent chunked.
function streamed(pieces) {
  const left = [...pieces];
  return new ReadableStream({
    pull(controller) {
      if (left.length) controller.enqueue(left.shift());
      else controller.close();
    },
  });
}

await check("200 requests, one after another, go over few connections", async () => {
  for (let number = 0; number < 100; number++) {
    expect(await (await fetch(`${url}/${number}`)).text(), PAGE, "the page");
    expect(await (await post(`${number}`)).text(), `${number}`, "the body");
  }
  require(opened <= mostOf(1), `${opened} were opened`);
});

await check("HEAD has GET's Content-Length and no body", async () => {
  const response = await fetch(url, { method: "HEAD" });
  expect(response.headers.get("content-length"), `${PAGE.length}`, "Content-Length");
  expect(await response.text(), "", "the body");
});

await check("OPTIONS lists the methods; DELETE, PUT and PATCH get a 405 with Allow", async () => {
  const wanted = { OPTIONS: 204, DELETE: 405, PUT: 405, PATCH: 405 };
  for (const [method, status] of Object.entries(wanted)) {
    const response = await fetch(url, { method });
    await response.text();
    expect([response.status, response.headers.get("allow")], [status, METHODS], method);
  }
});

await check("200 requests, 16 at once, get their own responses over few connections", async () => {
  const before = opened;
  await bounded(200, 16, async (number) => {
    const body = randomBytes(number * 100);
    expectBytes(await bytes(await post(body)), body);
  });
  require(opened - before <= mostOf(16), `${opened - before} were opened`);
});

await check("10 MiB of random bytes come back", async () => {
  const body = randomBytes(10 * MiB);
  expectBytes(await bytes(await post(body)), body);
});

await check("a stream of 5 MiB comes back", async () => {
  const pieces = Array.from({ length: 80 }, () => randomBytes(MiB / 16));
  const response = await post(streamed(pieces), { duplex: "half" });
  expectBytes(await bytes(response), Buffer.concat(pieces));
});

await check("a response that is read piece by piece is complete", async () => {
  const body = randomBytes(4 * MiB);
  const read = [];
  for await (const piece of (await post(body)).body) read.push(piece);
  expectBytes(Buffer.concat(read), body);
});

await check("JSON, text and forms come back with their types", async () => {
  const rows = Array.from({ length: 50_000 }, (_, n) => ({ n, é: "\u2028" }));
  const json = JSON.stringify({ rows });
  const response = await post(json, { headers: { "content-type": "application/json" } });
  expect(response.headers.get("content-type"), "application/json", "Content-Type");
  expectBytes(await bytes(response), Buffer.from(json));
  const text = await post("text");
  expect(text.headers.get("content-type"), "text/plain;charset=UTF-8", "Content-Type");
  expect(await text.text(), "text", "the body");
  const form = new FormData();
  form.set("a", "b");
  expect((await (await post(form)).formData()).get("a"), "b", "the form's field");
});

await check("invalid JSON gets a JSON problem with the position", async () => {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const response = await post("[1,]", { headers });
  expect(response.status, 400, "the status");
  expect(response.headers.get("content-type"), "application/problem+json", "Content-Type");
  const { detail } = await response.json();
  require(detail.includes("line 1 column 4"), `the detail is ${detail}`);
});

await check("an aborted request affects no other client", async () => {
  for (let number = 0; number < 10; number++) {
    const abort = new AbortController();
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(randomBytes(1000));
        abort.abort();
      },
    });
    const pending = post(body, { duplex: "half", signal: abort.signal });
    expect(await pending.catch((error) => error.name), "AbortError", "the outcome");
  }
  expect(await (await post("whole")).text(), "whole", "the body");
});

await check("11 MiB get a 413 and no reset", async () => {
  const response = await post(randomBytes(11 * MiB));
  expect([response.status, (await response.text()).slice(0, 3)], [413, "413"], "the response");
});

await check("a stream of 11 MiB gets a 413 and no reset", async () => {
  const pieces = Array.from({ length: 11 }, () => randomBytes(MiB));
  const response = await post(streamed(pieces), { duplex: "half" });
  expect([response.status, (await response.text()).slice(0, 3)], [413, "413"], "the response");
});
