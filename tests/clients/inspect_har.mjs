// Validates the export of --inspect with the schema of HTTP Archive 1.2.

import { createRequire } from "node:module";
import { check, expect, require, scratch, url } from "./checks.mjs";

const validate = createRequire(`${scratch}/`)("har-validator");

for (const path of ["export.har", "inbox/abc/export.har", "inbox/none/export.har"]) {
  await check(`${path} is a valid archive`, async () => {
    const response = await fetch(`${url}/inspect/api/${path}`);
    expect(response.status, 200, "the status");
    const archive = await response.json();
    try {
      await validate.har(archive);
    } catch (error) {
      throw new Error(JSON.stringify(error.errors ?? error.message));
    }
    for (const { request } of archive.log.entries) {
      const { postData } = request;
      // The format has one or the other, which its schema does not say.
      require(!(postData?.params && postData?.text !== undefined), JSON.stringify(postData));
    }
  });
}

await check("the archive has all requests", async () => {
  const archive = await (await fetch(`${url}/inspect/api/export.har`)).json();
  expect(archive.log.entries.length, 9, "entries");
});
