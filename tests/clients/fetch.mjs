// The fetch that is built into Node.

import { randomBytes } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import {
  METHODS, MiB, PAGE, bounded, check, expect, expectBytes, require, url,
} from "./checks.mjs";

// Connections, of all that follows.
let opened = 0;
subscribe("undici:client:connected", () => opened++);

const post = (body, more = {}) => fetch(url, { method: "POST", body, ...more });
const bytes = async (answer) => new Uint8Array(await answer.arrayBuffer());

// A next request may come a moment before the last one's connection is free again, and then it
// takes another: so there can be twice as many connections as requests at once, and no more.
const mostOf = (requests) => 2 * requests;

// A stream has no length, so it is sent chunked.
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
  const answer = await fetch(url, { method: "HEAD" });
  expect(answer.headers.get("content-length"), `${PAGE.length}`, "Content-Length");
  expect(await answer.text(), "", "the body");
});

await check("OPTIONS tells the methods; DELETE, PUT and PATCH get a 405 with Allow", async () => {
  const wanted = { OPTIONS: 204, DELETE: 405, PUT: 405, PATCH: 405 };
  for (const [method, status] of Object.entries(wanted)) {
    const answer = await fetch(url, { method });
    await answer.text();
    expect([answer.status, answer.headers.get("allow")], [status, METHODS], method);
  }
});

await check("200 requests, 16 at once, get their own answers over few connections", async () => {
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
  const answer = await post(streamed(pieces), { duplex: "half" });
  expectBytes(await bytes(answer), Buffer.concat(pieces));
});

await check("an answer that is read piece by piece is whole", async () => {
  const body = randomBytes(4 * MiB);
  const read = [];
  for await (const piece of (await post(body)).body) read.push(piece);
  expectBytes(Buffer.concat(read), body);
});

await check("JSON, text and forms come back with their types", async () => {
  const rows = Array.from({ length: 50_000 }, (_, n) => ({ n, é: "\u2028" }));
  const json = JSON.stringify({ rows });
  const answer = await post(json, { headers: { "content-type": "application/json" } });
  expect(answer.headers.get("content-type"), "application/json", "Content-Type");
  expectBytes(await bytes(answer), Buffer.from(json));
  const text = await post("text");
  expect(text.headers.get("content-type"), "text/plain;charset=UTF-8", "Content-Type");
  expect(await text.text(), "text", "the body");
  const form = new FormData();
  form.set("a", "b");
  expect((await (await post(form)).formData()).get("a"), "b", "the form's field");
});

await check("a mistake in JSON gets a problem in JSON, with its place", async () => {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const answer = await post("[1,]", { headers });
  expect(answer.status, 400, "the status");
  expect(answer.headers.get("content-type"), "application/problem+json", "Content-Type");
  const { detail } = await answer.json();
  require(detail.includes("line 1 column 4"), `the detail is ${detail}`);
});

await check("a request that is given up in the middle harms nobody", async () => {
  for (let number = 0; number < 10; number++) {
    const giving = new AbortController();
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(randomBytes(1000));
        giving.abort();
      },
    });
    const asked = post(body, { duplex: "half", signal: giving.signal });
    expect(await asked.catch((error) => error.name), "AbortError", "the outcome");
  }
  expect(await (await post("whole")).text(), "whole", "the body");
});

await check("11 MiB get a 413 and no reset", async () => {
  const answer = await post(randomBytes(11 * MiB));
  expect([answer.status, (await answer.text()).slice(0, 3)], [413, "413"], "the answer");
});

await check("a stream of 11 MiB gets a 413 and no reset", async () => {
  const pieces = Array.from({ length: 11 }, () => randomBytes(MiB));
  const answer = await post(streamed(pieces), { duplex: "half" });
  expect([answer.status, (await answer.text()).slice(0, 3)], [413, "413"], "the answer");
});
