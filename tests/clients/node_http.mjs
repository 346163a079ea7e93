// node:http with an Agent that keeps connections.

import { randomBytes } from "node:crypto";
import http from "node:http";
import {
  METHODS, MiB, PAGE, bounded, check, expect, expectBytes, socketPath, url,
} from "./checks.mjs";

// An agent, and every socket that its requests went over.
function kept(maxSockets) {
  const agent = new http.Agent({ keepAlive: true, maxSockets });
  const sockets = new Set();
  const ask = (method, body, { pieces, ...options } = {}) =>
    new Promise((resolve, reject) => {
      const origin = options.socketPath ? "http://localhost" : url;
      const request = http.request(origin, { agent, method, ...options });
      request.on("socket", (socket) => sockets.add(socket));
      request.on("error", reject);
      request.on("response", (answer) => {
        const read = [];
        answer.on("data", (piece) => read.push(piece));
        answer.on("error", reject);
        const { statusCode: status, headers } = answer;
        answer.on("end", () => resolve({ status, headers, body: Buffer.concat(read) }));
      });
      // Written apart from the end, they are sent chunked.
      for (const piece of pieces ?? []) request.write(piece);
      request.end(body);
    });
  return { ask, sockets, agent };
}

await check("300 requests, one after another, go over one connection", async () => {
  const { ask, sockets, agent } = kept(4);
  for (let number = 0; number < 100; number++) {
    expect((await ask("GET")).body.toString(), PAGE, "the page");
    expect((await ask("POST", `${number}`)).body.toString(), `${number}`, "the body");
    const { headers, body } = await ask("HEAD");
    expect([headers["content-length"], body.length], [`${PAGE.length}`, 0], "HEAD");
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});

await check("400 requests, 20 at once, get their own answers over two connections", async () => {
  const { ask, sockets, agent } = kept(2);
  await bounded(400, 20, async (number) => {
    const body = randomBytes(number * 50);
    expectBytes((await ask("POST", body)).body, body);
  });
  expect(sockets.size, 2, "connections opened");
  agent.destroy();
});

await check("chunks come back, and the connection is used again", async () => {
  const { ask, sockets, agent } = kept(1);
  for (const count of [1, 10, 500]) {
    const pieces = Array.from({ length: count }, (_, number) => randomBytes(number * 20 + 1));
    const answer = await ask("POST", undefined, { pieces });
    expectBytes(answer.body, Buffer.concat(pieces));
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});

await check("`Expect: 100-continue` is answered before the body is sent", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const body = randomBytes(2 * MiB);
  for (let number = 0; number < 3; number++) {
    const read = await new Promise((resolve, reject) => {
      const headers = { expect: "100-continue", "content-length": body.length };
      const request = http.request(url, { agent, method: "POST", headers });
      request.on("error", reject);
      request.on("continue", () => request.end(body));
      request.on("response", async (answer) => resolve(Buffer.concat(await answer.toArray())));
      request.flushHeaders();
    });
    expectBytes(read, body);
  }
  agent.destroy();
});

await check("a body over the limit that asks first gets a 413, and is not sent", async () => {
  const told = await new Promise((resolve, reject) => {
    const headers = { expect: "100-continue", "content-length": 11 * MiB };
    const request = http.request(url, { method: "POST", headers });
    request.on("error", reject);
    request.on("continue", () => reject(new Error("it was told to go on")));
    request.on("response", (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    request.flushHeaders();
  });
  expect(told, 413, "the status");
});

await check("11 MiB that don't ask get a 413 and no reset, and the agent goes on", async () => {
  const { ask, agent } = kept(1);
  const pieces = Array.from({ length: 11 }, () => randomBytes(MiB));
  const whole = await ask("POST", Buffer.concat(pieces));
  const chunked = await ask("POST", undefined, { pieces });
  for (const answer of [whole, chunked]) {
    expect([answer.status, answer.body.toString().slice(0, 3)], [413, "413"], "the answer");
  }
  expect((await ask("GET")).status, 200, "the next status");
  agent.destroy();
});

await check("OPTIONS *, and methods that get a 405 with Allow", async () => {
  const { ask, sockets, agent } = kept(1);
  const options = await ask("OPTIONS", undefined, { path: "*" });
  expect([options.status, options.headers.allow], [204, METHODS], "the answer");
  for (const method of ["PUT", "DELETE", "PATCH", "PROPFIND", "M-SEARCH"]) {
    const answer = await ask(method, method === "PUT" ? "ignored" : undefined);
    expect([answer.status, answer.headers.allow], [405, METHODS], method);
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});

await check("a Unix socket serves the same", async () => {
  const { ask, sockets, agent } = kept(1);
  for (let number = 0; number < 50; number++) {
    const answer = await ask("POST", `${number}`, { socketPath });
    expect(answer.body.toString(), `${number}`, "the body");
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});
