// undici with HTTP/2, which it uses over TLS.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import {
  METHODS, MiB, PAGE, bounded, certificate, check, expect, expectBytes, scratch, secureUrl as url,
} from "./checks.mjs";

const undici = createRequire(`${scratch}/`)("undici");
const connect = { ca: readFileSync(certificate) };
const path = "/any";

const bytes = async (response) => new Uint8Array(await response.body.arrayBuffer());

// One connection, with the number of connections opened.
function single() {
  const client = new undici.Pool(url, { allowH2: true, connections: 1, connect, pipelining: 100 });
  const seen = { opened: 0 };
  client.on("connect", () => seen.opened++);
  const send = (request) => client.request({ path, ...request });
  return { send, seen, close: () => client.close() };
}

await check("1000 requests, 50 at once on one connection, get their own responses", async () => {
  const { send, seen, close } = single();
  await bounded(1000, 50, async (number) => {
    if (number % 3 === 0) {
      const response = await send({ method: "GET", path: `/${number}` });
      expect([response.statusCode, await response.body.text()], [200, PAGE], "the response");
    } else {
      const body = `${number} `.repeat(number);
      expectBytes(await bytes(await send({ method: "POST", body })), Buffer.from(body));
    }
  });
  await close();
  expect(seen.opened, 1, "connections opened");
});

await check("HEAD, OPTIONS and DELETE", async () => {
  const { send, close } = single();
  const wanted = [["HEAD", 200], ["OPTIONS", 204], ["DELETE", 405]];
  await bounded(30, 10, async (number) => {
    const [method, status] = wanted[number % wanted.length];
    const response = await send({ method });
    await response.body.text();
    expect(response.statusCode, status, `the status of ${method}`);
    if (status !== 200) expect(response.headers.allow, METHODS, "Allow");
  });
  await close();
});

await check("a stream of 5 MiB comes back", async () => {
  const { send, close } = single();
  const pieces = Array.from({ length: 80 }, () => randomBytes(MiB / 16));
  const response = await send({ method: "POST", body: Readable.from(pieces) });
  expectBytes(await bytes(response), Buffer.concat(pieces));
  await close();
});

await check("fetch uses HTTP/2 too", async () => {
  const dispatcher = new undici.Agent({ allowH2: true, connect });
  await bounded(200, 16, async (number) => {
    // undici 7.30 never finishes a fetch with an empty body.
    const body = randomBytes(number * 100 + 1);
    const response = await undici.fetch(`${url}/any`, { method: "POST", body, dispatcher });
    expectBytes(await response.arrayBuffer(), body);
  });
  await dispatcher.close();
});
