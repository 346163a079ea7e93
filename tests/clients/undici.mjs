// undici: pipelining, a pool, streams.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  METHODS, MiB, PAGE, bounded, check, expect, expectBytes, require, scratch, socketPath, url,
} from "./checks.mjs";

const undici = createRequire(`${scratch}/`)("undici");
const path = "/any";
// Marks requests that may be pipelined: undici waits for the response to any other one.
const idempotent = true;

const bytes = async (response) => new Uint8Array(await response.body.arrayBuffer());

// One connection, with the number of connections opened and the most requests in flight.
function single(origin, options) {
  const pool = new undici.Pool(origin, { connections: 1, ...options });
  const seen = { opened: 0, inFlight: 0 };
  pool.on("connect", () => seen.opened++);
  const send = async (request) => {
    const response = pool.request({ path, ...request });
    const look = () => (seen.inFlight = Math.max(seen.inFlight, pool.stats.running));
    setImmediate(look);
    return response.finally(look);
  };
  return { send, seen, close: () => pool.close() };
}

await check("1000 requests, ten at once on one connection, get their own responses", async () => {
  const { send, seen, close } = single(url, { pipelining: 10 });
  await bounded(1000, 30, async (number) => {
    if (number % 3 === 0) {
      const response = await send({ method: "GET", path: `/${number}` });
      expect([response.statusCode, await response.body.text()], [200, PAGE], "the response");
    } else {
      const body = `${number} `.repeat(number);
      const response = await send({ method: "POST", body, idempotent });
      expectBytes(await bytes(response), Buffer.from(body));
    }
  });
  await close();
  expect(seen.opened, 1, "connections opened");
  expect(seen.inFlight, 10, "requests in flight");
});

await check("pipelined HEAD, OPTIONS and DELETE don't shift the responses", async () => {
  const { send, seen, close } = single(url, { pipelining: 10 });
  const wanted = [["GET", 200], ["HEAD", 200], ["OPTIONS", 204], ["DELETE", 405]];
  await bounded(200, 20, async (number) => {
    const [method, status] = wanted[number % wanted.length];
    // undici opens a new connection after HEAD unless `reset` is false.
    const response = await send({ method, blocking: false, reset: false, idempotent });
    const body = await response.body.text();
    expect(response.statusCode, status, `the status of ${method}`);
    if (method === "GET") expect(body, PAGE, "the page");
    if (method === "HEAD") expect(body, "", "the body of HEAD");
    if (status !== 200) expect(response.headers.allow, METHODS, "Allow");
  });
  await close();
  expect(seen.opened, 1, "connections opened");
  require(seen.inFlight > 1, "there were never two requests in flight");
});

await check("an error in the pipeline keeps its place", async () => {
  const { send, seen, close } = single(url, { pipelining: 10 });
  const headers = { "content-type": "application/json" };
  await bounded(100, 20, async (number) => {
    const broken = number % 7 === 0;
    const body = broken ? "{" : `[${number}]`;
    const response = await send({ method: "POST", headers, body, idempotent });
    const echoed = await response.body.text();
    expect(response.statusCode, broken ? 400 : 200, "the status");
    if (!broken) expect(echoed, body, "the body");
  });
  await close();
  expect(seen.opened, 1, "connections opened");
});

await check("a stream of 5 MiB comes back into a stream", async () => {
  const client = new undici.Client(url);
  const pieces = Array.from({ length: 80 }, () => randomBytes(MiB / 16));
  const read = [];
  const sink = new Writable({
    write(piece, _, done) {
      read.push(piece);
      done();
    },
  });
  await client.stream({ method: "POST", path, body: Readable.from(pieces) }, () => sink);
  expectBytes(Buffer.concat(read), Buffer.concat(pieces));
  await client.close();
});

await check("client.pipeline, which sends while it receives", async () => {
  const client = new undici.Client(url);
  const pieces = Array.from({ length: 64 }, () => randomBytes(MiB / 32));
  const read = [];
  await pipeline(
    Readable.from(pieces),
    client.pipeline({ method: "POST", path }, ({ body }) => body),
    async function (response) {
      for await (const piece of response) read.push(piece);
    },
  );
  expectBytes(Buffer.concat(read), Buffer.concat(pieces));
  await client.close();
});

await check("a pool sends 400 requests over four connections", async () => {
  let opened = 0;
  const pool = new undici.Pool(url, { connections: 4, pipelining: 5 });
  pool.on("connect", () => opened++);
  await bounded(400, 40, async (number) => {
    const body = randomBytes(number * 20);
    expectBytes(await bytes(await pool.request({ method: "POST", path, body, idempotent })), body);
  });
  await pool.close();
  expect(opened, 4, "connections opened");
});

await check("11 MiB get a 413 and no reset, and the client stays usable", async () => {
  const client = new undici.Client(url);
  const pieces = Array.from({ length: 11 }, () => randomBytes(MiB));
  for (const body of [Buffer.concat(pieces), Readable.from(pieces)]) {
    const response = await client.request({ method: "POST", path, body });
    const text = await response.body.text();
    expect([response.statusCode, text.slice(0, 3)], [413, "413"], "the response");
  }
  const next = await client.request({ method: "GET", path });
  expect(await next.body.text(), PAGE, "the page");
  await client.close();
});

await check("a Unix socket works the same, pipelined", async () => {
  const { send, seen, close } = single("http://localhost", { pipelining: 10, socketPath });
  await bounded(200, 20, async (number) => {
    const response = await send({ method: "POST", body: `${number}`, idempotent });
    expect(await response.body.text(), `${number}`, "the body");
  });
  await close();
  expect(seen, { opened: 1, inFlight: 10 }, "connections opened, and requests in flight");
});
