// What checks.py is for Python: it prints the lines that are counted there.

import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

export const [url, socketPath, scratch] = process.argv.slice(2);
export const PAGE = "<h1>Welcome to my Server</h1>";
export const METHODS = "GET, HEAD, POST, OPTIONS";
export const MiB = 1024 * 1024;

// No check waits longer than this, in milliseconds.
const PATIENCE = 20_000;

export async function check(name, body) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${PATIENCE / 1000} s`)), PATIENCE);
  });
  try {
    await Promise.race([body(), late]);
    console.log(`  ok      ${name}`);
  } catch (error) {
    const cause = error.cause ? ` (${error.cause})` : "";
    console.log(`  FAILED  ${name}: ${error.message}${cause}`.replaceAll("\n", " "));
  } finally {
    clearTimeout(timer);
  }
}

export function require(truth, otherwise) {
  if (!truth) throw new Error(otherwise);
}

export function expect(got, wanted, what) {
  const [shown, instead] = [got, wanted].map((value) => JSON.stringify(value));
  require(isDeepStrictEqual(got, wanted), `${what}: ${shown} instead of ${instead}`);
}

// Compares bytes, and shows only their digest.
export function expectBytes(got, wanted) {
  expect(digest(got), digest(wanted), "the body's digest");
}

// Does `work` for the numbers below `count`, at most `limit` at once.
export async function bounded(count, limit, work) {
  let next = 0;
  const one = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: limit }, one));
}

function digest(bytes) {
  const data = Buffer.from(bytes);
  return `${data.length} bytes, sha256 ${createHash("sha256").update(data).digest("hex")}`;
}
