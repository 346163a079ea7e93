// The counterpart of checks.py for Node, which counts the lines that this prints.

import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

// The last two are given to scripts that use TLS.
export const [url, socketPath, scratch, secureUrl, certificate] = process.argv.slice(2);
export const PAGE = "<h1>Welcome to my Server</h1>";
export const METHODS = "GET, HEAD, POST, OPTIONS";
export const MiB = 1024 * 1024;

// The longest run of a check, in milliseconds.
const TIMEOUT = 20_000;

export async function check(name, body) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${TIMEOUT / 1000} s`)), TIMEOUT);
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

export function require(condition, message) {
  if (!condition) throw new Error(message);
}

export function expect(actual, expected, what) {
  const [shown, instead] = [actual, expected].map((value) => JSON.stringify(value));
  require(isDeepStrictEqual(actual, expected), `${what}: ${shown} instead of ${instead}`);
}

// Compares bytes, and shows their digests only.
export function expectBytes(actual, expected) {
  expect(digest(actual), digest(expected), "the body's digest");
}

// Calls `work` with the numbers below `count`, at most `limit` at once.
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
