// node:http2.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { Socket } from "node:net";
import {
  METHODS, MiB, PAGE, bounded, check, expect, expectBytes, require, certificate, secureUrl,
  socketPath, url,
} from "./checks.mjs";

const { NGHTTP2_CANCEL } = http2.constants;

// Opens a connection, and adds a function that sends a request and returns the response.
function connect(authority, options) {
  // By default, Node resets new streams while 10 MB wait to be sent.
  const session = http2.connect(authority, { maxSessionMemory: 64, ...options });
  session.on("error", (error) => console.log(`  FAILED  the connection: ${error.message}`));
  const send = (method, body, { headers, pieces } = {}) =>
    new Promise((resolve, reject) => {
      const head = { ":method": method, ":path": "/any", ...headers };
      const stream = session.request(head, { endStream: body === undefined && !pieces });
      let response;
      const read = [];
      stream.on("response", (headers) => (response = headers));
      stream.on("data", (piece) => read.push(piece));
      stream.on("error", reject);
      stream.on("end", () =>
        resolve({ status: response[":status"], headers: response, body: Buffer.concat(read) }));
      for (const piece of pieces ?? []) stream.write(piece);
      if (body !== undefined || pieces) stream.end(body);
    });
  const close = () => new Promise((resolve) => session.close(resolve));
  return { session, send, close };
}

async function requests(how, authority, options) {
  const { session, send, close } = connect(authority, options);

  await check(`${how}: 300 requests, one after another`, async () => {
    for (let number = 0; number < 100; number++) {
      expect((await send("GET")).body.toString(), PAGE, "the page");
      expect((await send("POST", `${number}`)).body.toString(), `${number}`, "the body");
      const { headers, body } = await send("HEAD");
      expect([headers["content-length"], body.length], [`${PAGE.length}`, 0], "HEAD");
    }
  });

  await check(`${how}: 2000 requests, 100 at once, get their own responses`, async () => {
    await bounded(2000, 100, async (number) => {
      const body = Buffer.from(`${number} `.repeat(number % 500));
      expectBytes((await send("POST", body)).body, body);
    });
  });

  await check(`${how}: 1000 requests that are all made at once get their responses`, async () => {
    const responses = await Promise.all(Array.from({ length: 1000 }, () => send("GET")));
    require(responses.every(({ body }) => body.toString() === PAGE), "a page differs");
  });

  await check(`${how}: 5 MiB in pieces, without a length, come back`, async () => {
    const pieces = Array.from({ length: 80 }, () => randomBytes(MiB / 16));
    expectBytes((await send("POST", undefined, { pieces })).body, Buffer.concat(pieces));
  });

  await check(`${how}: eight bodies of 2 MiB at once come back`, async () => {
    await bounded(8, 8, async () => {
      const body = randomBytes(2 * MiB);
      expectBytes((await send("POST", body)).body, body);
    });
  });

  await check(`${how}: OPTIONS *, and methods that get a 405 with Allow`, async () => {
    const options = await send("OPTIONS", undefined, { headers: { ":path": "*" } });
    expect([options.status, options.headers.allow], [204, METHODS], "the response");
    for (const method of ["PUT", "DELETE", "PATCH", "PROPFIND"]) {
      const { status, headers } = await send(method, method === "PUT" ? "ignored" : undefined);
      expect([status, headers.allow], [405, METHODS], method);
    }
  });

  await check(`${how}: 11 MiB get a 413, with their length and without`, async () => {
    const pieces = Array.from({ length: 11 }, () => randomBytes(MiB));
    const headers = { "content-length": 11 * MiB };
    for (const options of [{ headers, pieces }, { pieces }]) {
      const { status, body } = await send("POST", undefined, options);
      expect([status, body.toString().slice(0, 3)], [413, "413"], "the response");
    }
  });

  await check(`${how}: \`Expect: 100-continue\` gets a 100 before the body is sent`, async () => {
    const body = randomBytes(2 * MiB);
    for (let number = 0; number < 3; number++) {
      const head = { ":method": "POST", expect: "100-continue", "content-length": body.length };
      const stream = session.request(head);
      stream.on("continue", () => stream.end(body));
      expectBytes(Buffer.concat(await stream.toArray()), body);
    }
  });

  await check(`${how}: a request that is cancelled affects no other one`, async () => {
    const others = Array.from({ length: 20 }, (_, number) => send("POST", `${number}`));
    for (let number = 0; number < 50; number++) {
      const stream = session.request({ ":method": "POST" });
      stream.write(randomBytes(1000));
      stream.close(NGHTTP2_CANCEL);
    }
    const bodies = (await Promise.all(others)).map(({ body }) => Number(body));
    expect(bodies, [...Array(20).keys()], "the bodies");
  });

  await check(`${how}: a response that is cancelled affects no other one`, async () => {
    for (let number = 0; number < 10; number++) {
      const stream = session.request({ ":method": "POST" });
      stream.end(randomBytes(MiB));
      await new Promise((resolve) => stream.once("data", resolve));
      stream.close(NGHTTP2_CANCEL);
    }
    expect((await send("GET")).body.toString(), PAGE, "the page");
  });

  await check(`${how}: a ping comes back`, async () => {
    const payload = randomBytes(8);
    const back = await new Promise((resolve, reject) =>
      session.ping(payload, (error, _, back) => (error ? reject(error) : resolve(back))));
    expectBytes(back, payload);
  });

  await check(`${how}: the server sends no GOAWAY, and the connection closes cleanly`, async () => {
    let code;
    session.on("goaway", (received) => (code = received));
    await close();
    expect(code, undefined, "the code of the GOAWAY");
  });
}

await requests("in the clear", url);
await requests("a Unix socket", "http://localhost", {
  createConnection: () => new Socket().connect(socketPath),
});
if (secureUrl) await requests("over TLS", secureUrl, { ca: readFileSync(certificate) });

await check("ten connections at once", async () => {
  await Promise.all(Array.from({ length: 10 }, async () => {
    const { send, close } = connect(url);
    await bounded(200, 20, async (number) => {
      expect((await send("POST", `${number}`)).body.toString(), `${number}`, "the body");
    });
    await close();
  }));
});
