// ws: text, bytes, fragments, pings, closes. Every client of the server gets every message.

import { once } from "node:events";
import { createRequire } from "node:module";
import { bounded, check, expect, scratch, url } from "./checks.mjs";

const { WebSocket } = createRequire(`${scratch}/`)("ws");

// The server refuses larger messages.
const LARGEST = 64 * 1024;

async function open(options) {
  const socket = new WebSocket(url, options);
  await once(socket, "open");
  return socket;
}

// Sends a message, and returns the next one that arrives.
async function say(socket, message, options = {}) {
  const arrival = once(socket, "message");
  socket.send(message, options);
  const [data, isBinary] = await arrival;
  return isBinary ? data : data.toString();
}

async function close(socket, code, reason) {
  const end = once(socket, "close");
  socket.close(code, reason);
  const [received, text] = await end;
  return [received, text.toString()];
}

await check("text and bytes of up to 64 KiB come back", async () => {
  const socket = await open();
  for (const length of [0, 1, 125, 126, 4096, 4097, 65_535, LARGEST]) {
    expect(await say(socket, "x".repeat(length)), "x".repeat(length), "the text");
    const bytes = Buffer.alloc(length, 0xff);
    expect((await say(socket, bytes)).equals(bytes), true, "whether the bytes are the same");
  }
  expect(await close(socket, 1000, "enough"), [1000, "enough"], "the close");
});

await check("fragments and a ping between them", async () => {
  const socket = await open();
  const pong = once(socket, "pong");
  socket.send("Hello ", { fin: false });
  socket.ping("payload");
  expect((await pong)[0].toString(), "payload", "the pong");
  expect(await say(socket, "κόσμε", { fin: true }), "Hello κόσμε", "the message");
  await close(socket);
});

await check("compression is not accepted", async () => {
  const socket = await open({ perMessageDeflate: true });
  expect(socket.extensions, "", "the extensions");
  await close(socket);
});

await check("200 clients, 20 at once", () => bounded(200, 20, async (number) => {
  const socket = await open();
  const text = `client ${number}`;
  const own = new Promise((resolve) => {
    socket.on("message", (data) => data.toString() === text && resolve());
  });
  socket.send(text);
  await own;
  const code = 3000 + number;
  expect(await close(socket, code, text), [code, text], "the close");
}));

await check("a client that vanishes is no error", async () => {
  for (let number = 0; number < 20; number++) (await open()).terminate();
  const socket = await open();
  expect(await say(socket, "here"), "here", "the message");
  await close(socket);
});

await check("a message over the limit is refused", async () => {
  const socket = await open();
  const end = once(socket, "close");
  socket.send("x".repeat(LARGEST + 1));
  expect((await end)[0], 1009, "the code");
});

await check("a page of another origin is refused", async () => {
  const socket = new WebSocket(url, { origin: "https://elsewhere.example" });
  const [request, response] = await once(socket, "unexpected-response");
  // ws leaves the request to whoever listens.
  request.destroy();
  expect(response.statusCode, 403, "the status");
});
