// undici with its own hands: a client that pipelines, pools, streams.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  METHODS, MiB, PAGE, bounded, check, expect, expectBytes, require, scratch, socketPath, url,
} from "./checks.mjs";

const undici = createRequire(`${scratch}/`)("undici");
const path = "/any";
// What may be pipelined: undici waits behind anything else until it has been answered.
const idempotent = true;

const bytes = async (answer) => new Uint8Array(await answer.body.arrayBuffer());

// One connection, and how many were opened and how many requests were out on it at once.
function single(origin, options) {
  const pool = new undici.Pool(origin, { connections: 1, ...options });
  const seen = { opened: 0, together: 0 };
  pool.on("connect", () => seen.opened++);
  const ask = async (request) => {
    const answer = pool.request({ path, ...request });
    const look = () => (seen.together = Math.max(seen.together, pool.stats.running));
    setImmediate(look);
    return answer.finally(look);
  };
  return { ask, seen, close: () => pool.close() };
}

await check("1000 requests, ten at once on one connection, get their own answers", async () => {
  const { ask, seen, close } = single(url, { pipelining: 10 });
  await bounded(1000, 30, async (number) => {
    if (number % 3 === 0) {
      const answer = await ask({ method: "GET", path: `/${number}` });
      expect([answer.statusCode, await answer.body.text()], [200, PAGE], "the answer");
    } else {
      const body = `${number} `.repeat(number);
      const answer = await ask({ method: "POST", body, idempotent });
      expectBytes(await bytes(answer), Buffer.from(body));
    }
  });
  await close();
  expect(seen.opened, 1, "connections opened");
  expect(seen.together, 10, "requests that were out at once");
});

await check("pipelined HEAD, OPTIONS and DELETE don't shift the answers", async () => {
  const { ask, seen, close } = single(url, { pipelining: 10 });
  const wanted = [["GET", 200], ["HEAD", 200], ["OPTIONS", 204], ["DELETE", 405]];
  await bounded(200, 20, async (number) => {
    const [method, status] = wanted[number % wanted.length];
    // undici takes a new connection after HEAD unless it is told not to.
    const answer = await ask({ method, blocking: false, reset: false, idempotent });
    const body = await answer.body.text();
    expect(answer.statusCode, status, `the status of ${method}`);
    if (method === "GET") expect(body, PAGE, "the page");
    if (method === "HEAD") expect(body, "", "the body of HEAD");
    if (status !== 200) expect(answer.headers.allow, METHODS, "Allow");
  });
  await close();
  expect(seen.opened, 1, "connections opened");
  require(seen.together > 1, "no two requests were out at once");
});

await check("an error in the pipeline is answered in its place", async () => {
  const { ask, seen, close } = single(url, { pipelining: 10 });
  const headers = { "content-type": "application/json" };
  await bounded(100, 20, async (number) => {
    const broken = number % 7 === 0;
    const body = broken ? "{" : `[${number}]`;
    const answer = await ask({ method: "POST", headers, body, idempotent });
    const echoed = await answer.body.text();
    expect(answer.statusCode, broken ? 400 : 200, "the status");
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
    async function (answer) {
      for await (const piece of answer) read.push(piece);
    },
  );
  expectBytes(Buffer.concat(read), Buffer.concat(pieces));
  await client.close();
});

await check("a pool of four connections answers 400 requests, and opens no fifth", async () => {
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

await check("11 MiB get a 413 and no reset, and the client goes on", async () => {
  const client = new undici.Client(url);
  const pieces = Array.from({ length: 11 }, () => randomBytes(MiB));
  for (const body of [Buffer.concat(pieces), Readable.from(pieces)]) {
    const answer = await client.request({ method: "POST", path, body });
    expect([answer.statusCode, (await answer.body.text()).slice(0, 3)], [413, "413"], "the answer");
  }
  const next = await client.request({ method: "GET", path });
  expect(await next.body.text(), PAGE, "the page");
  await client.close();
});

await check("a Unix socket serves the same, pipelined", async () => {
  const { ask, seen, close } = single("http://localhost", { pipelining: 10, socketPath });
  await bounded(200, 20, async (number) => {
    const answer = await ask({ method: "POST", body: `${number}`, idempotent });
    expect(await answer.body.text(), `${number}`, "the body");
  });
  await close();
  expect(seen, { opened: 1, together: 10 }, "what was opened, and out at once");
});
