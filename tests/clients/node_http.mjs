// node:http with a keep-alive agent.

import { randomBytes } from "node:crypto";
import http from "node:http";
import {
  METHODS, MiB, PAGE, bounded, check, expect, expectBytes, socketPath, url,
} from "./checks.mjs";

// An agent, and the sockets that its requests used.
function keepAlive(maxSockets) {
  const agent = new http.Agent({ keepAlive: true, maxSockets });
  const sockets = new Set();
  const send = (method, body, { pieces, ...options } = {}) =>
    new Promise((resolve, reject) => {
      const base = options.socketPath ? "http://localhost" : url;
      const request = http.request(base, { agent, method, ...options });
      request.on("socket", (socket) => sockets.add(socket));
      request.on("error", reject);
      request.on("response", (response) => {
        const read = [];
        response.on("data", (piece) => read.push(piece));
        response.on("error", reject);
        const { statusCode: status, headers } = response;
        response.on("end", () => resolve({ status, headers, body: Buffer.concat(read) }));
      });
      // Separate writes make the body chunked.
      for (const piece of pieces ?? []) request.write(piece);
      request.end(body);
    });
  return { send, sockets, agent };
}

await check("300 requests, one after another, go over one connection", async () => {
  const { send, sockets, agent } = keepAlive(4);
  for (let number = 0; number < 100; number++) {
    expect((await send("GET")).body.toString(), PAGE, "the page");
    expect((await send("POST", `${number}`)).body.toString(), `${number}`, "the body");
    const { headers, body } = await send("HEAD");
    expect([headers["content-length"], body.length], [`${PAGE.length}`, 0], "HEAD");
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});

await check("400 requests, 20 at once, get their own responses over two connections", async () => {
  const { send, sockets, agent } = keepAlive(2);
  await bounded(400, 20, async (number) => {
    const body = randomBytes(number * 50);
    expectBytes((await send("POST", body)).body, body);
  });
  expect(sockets.size, 2, "connections opened");
  agent.destroy();
});

await check("chunks come back, and the connection is reused", async () => {
  const { send, sockets, agent } = keepAlive(1);
  for (const count of [1, 10, 500]) {
    const pieces = Array.from({ length: count }, (_, number) => randomBytes(number * 20 + 1));
    const response = await send("POST", undefined, { pieces });
    expectBytes(response.body, Buffer.concat(pieces));
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});

await check("`Expect: 100-continue` gets a 100 before the body is sent", async () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const body = randomBytes(2 * MiB);
  for (let number = 0; number < 3; number++) {
    const read = await new Promise((resolve, reject) => {
      const headers = { expect: "100-continue", "content-length": body.length };
      const request = http.request(url, { agent, method: "POST", headers });
      request.on("error", reject);
      request.on("continue", () => request.end(body));
      request.on("response", async (response) => resolve(Buffer.concat(await response.toArray())));
      request.flushHeaders();
    });
    expectBytes(read, body);
  }
  agent.destroy();
});

await check("a body over the limit with Expect gets a 413, and is not sent", async () => {
  const status = await new Promise((resolve, reject) => {
    const headers = { expect: "100-continue", "content-length": 11 * MiB };
    const request = http.request(url, { method: "POST", headers });
    request.on("error", reject);
    request.on("continue", () => reject(new Error("the server sent 100 Continue")));
    request.on("response", (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    request.flushHeaders();
  });
  expect(status, 413, "the status");
});

await check("11 MiB without Expect get a 413 and no reset; the agent stays usable", async () => {
  const { send, agent } = keepAlive(1);
  const pieces = Array.from({ length: 11 }, () => randomBytes(MiB));
  const whole = await send("POST", Buffer.concat(pieces));
  const chunked = await send("POST", undefined, { pieces });
  for (const response of [whole, chunked]) {
    expect([response.status, response.body.toString().slice(0, 3)], [413, "413"], "the response");
  }
  expect((await send("GET")).status, 200, "the next status");
  agent.destroy();
});

await check("OPTIONS *, and methods that get a 405 with Allow", async () => {
  const { send, sockets, agent } = keepAlive(1);
  const options = await send("OPTIONS", undefined, { path: "*" });
  expect([options.status, options.headers.allow], [204, METHODS], "the response");
  for (const method of ["PUT", "DELETE", "PATCH", "PROPFIND", "M-SEARCH"]) {
    const response = await send(method, method === "PUT" ? "ignored" : undefined);
    expect([response.status, response.headers.allow], [405, METHODS], method);
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});

await check("a Unix socket works the same", async () => {
  const { send, sockets, agent } = keepAlive(1);
  for (let number = 0; number < 50; number++) {
    const response = await send("POST", `${number}`, { socketPath });
    expect(response.body.toString(), `${number}`, "the body");
  }
  expect(sockets.size, 1, "connections opened");
  agent.destroy();
});
