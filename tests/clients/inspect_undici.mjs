// The paths of --inspect with undici: bodies, redirects, codings, events, trailers, timeouts.

import { createRequire } from "node:module";
import { check, expect, require, scratch, url } from "./checks.mjs";

const undici = createRequire(`${scratch}/`)("undici");

const get = async (path, options) => {
  const { statusCode, headers, body, trailers } = await undici.request(`${url}${path}`, options);
  return { statusCode, headers, text: await body.text(), trailers };
};

await check("statuses by weight repeat with a seed", async () => {
  const statuses = async () => {
    const all = [];
    for (let seed = 0; seed < 20; seed++) {
      all.push((await get(`/status/200:1,503:1?seed=${seed}`)).statusCode);
    }
    return all;
  };
  const first = await statuses();
  expect(await statuses(), first, "the statuses");
  expect([...new Set(first)].sort(), [200, 503], "different statuses");
});

await check("a form and JSON are shown", async () => {
  const form = new undici.FormData();
  form.set("a", "b");
  form.set("f", new Blob(["text"]), "name.txt");
  const shown = await (await undici.fetch(`${url}/post`, { method: "POST", body: form })).json();
  expect([shown.form, shown.files], [{ a: "b" }, { f: "text" }], "the form");
  const { text } = await get("/anything?x=1", { method: "PATCH", body: "{}" });
  expect(JSON.parse(text).method, "PATCH", "the method");
});

await check("fetch follows redirects and decodes", async () => {
  const response = await undici.fetch(`${url}/redirect-to?url=/gzip&status_code=307`);
  expect([response.redirected, (await response.json()).gzipped], [true, true], "the response");
  expect((await (await undici.fetch(`${url}/brotli`)).json()).brotli, true, "Brotli");
});

await check("a slow body arrives in parts, and timeouts end a wait", async () => {
  const { body } = await undici.request(`${url}/drip?numbytes=5&duration=0.4`);
  let parts = 0;
  for await (const part of body) parts += part.length > 0;
  require(parts > 1, `${parts} parts`);
  const slow = get("/delay/5", { headersTimeout: 100, dispatcher: new undici.Agent() });
  const error = await slow.then(() => null, (error) => error);
  expect(error?.code, "UND_ERR_HEADERS_TIMEOUT", "the error");
});

await check("trailers follow the content", async () => {
  expect((await get("/trailers?x-sum=7")).trailers, { "x-sum": "7" }, "the trailers");
});

await check("events arrive", async () => {
  const { headers, text } = await get("/sse?count=3&duration=0.2");
  expect(headers["content-type"], "text/event-stream", "Content-Type");
  expect(text.match(/^event: ping$/gm).length, 3, "events");
});
