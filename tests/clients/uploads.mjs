// Forms with files from undici, over HTTP/1.1 and HTTP/2.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { check, expect, expectBytes, scratch, url } from "./checks.mjs";

const { Agent, FormData, H2CClient, fetch } = createRequire(`${scratch}/`)("undici");

const PNG = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const PICTURES = [PNG, Buffer.concat([PNG, Buffer.from("\r\n--".repeat(1000))]),
  Buffer.concat([PNG, randomBytes(9_000_000)])];
const FILE_NAMES = ["a.png", "日本 語.png", 'quo"te.png', "../../up.png"];

for (const [how, dispatcher] of [["HTTP/1.1", new Agent()], ["HTTP/2", new H2CClient(url)]]) {
  let cookie = "";
  const send = (path, request = {}) =>
    fetch(`${url}${path}`, { dispatcher, redirect: "manual", headers: { cookie }, ...request });
  const upload = async (title, name, content) => {
    const body = new FormData();
    body.append("title", title);
    body.append("picture", new Blob([content], { type: "image/png" }), name);
    const response = await send("/pictures", { method: "POST", body });
    await response.arrayBuffer();
    return response.status;
  };

  await check(`${how}: without a login, a form gets a 403`, async () => {
    expect(await upload("Tea", "a.png", PNG), 403, "the status");
  });
  await check(`${how}: after a login, pictures arrive as they are`, async () => {
    const body = new URLSearchParams({ name: "ada", password: "lovelace" });
    const login = await send("/login", { method: "POST", body });
    expect(login.status, 303, "the status of the login");
    [cookie] = login.headers.get("set-cookie").split(";");
    let number = (await (await send("/pictures")).json()).length;
    for (const name of FILE_NAMES) {
      for (const content of PICTURES) {
        expect(await upload(`Käse & ${name}`, name, content), 303, "the status");
        expectBytes(await (await send(`/pictures/${number++}`)).arrayBuffer(), content);
        const listed = await (await send("/pictures")).json();
        expect(listed.at(-1).title, `Käse & ${name}`, "the title");
      }
    }
  });
  await check(`${how}: other files get a 415`, async () => {
    expect(await upload("Tea", "a.png", Buffer.from("<script>")), 415, "the status");
  });
  await dispatcher.close();
}
