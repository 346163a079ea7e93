// Two requests side by side, with the lines that differ marked.

import { lines } from "./details.js";
import { make } from "./dom.js";

/** Above this many pairs of lines, lines are compared by their places only. */
const MAX_PAIRS = 4_000_000;

/** Pairs of lines; null stands for a line that one side does not have. */
export function differences(left, right) {
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start += 1;
  let ends = 0;
  while (ends < Math.min(left.length, right.length) - start
    && left[left.length - 1 - ends] === right[right.length - 1 - ends]) ends += 1;
  const middle = between(left.slice(start, left.length - ends), right.slice(start, right.length - ends));
  const same = (line) => [line, line];
  return [...left.slice(0, start).map(same), ...middle, ...left.slice(left.length - ends).map(same)];
}

function between(left, right) {
  const common = left.length * right.length > MAX_PAIRS ? [] : longestCommon(left, right);
  const pairs = [];
  let [i, j] = [0, 0];
  for (const [a, b] of [...common, [left.length, right.length]]) {
    while (i < a || j < b) {
      pairs.push([i < a ? left[i] : null, j < b ? right[j] : null]);
      i = Math.min(i + 1, a);
      j = Math.min(j + 1, b);
    }
    if (a < left.length) pairs.push([left[a], right[b]]);
    [i, j] = [a + 1, b + 1];
  }
  return pairs;
}

/** The places of the longest common sequence of lines. */
function longestCommon(left, right) {
  const width = right.length + 1;
  const lengths = new Uint32Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = left[i] === right[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const common = [];
  let [i, j] = [0, 0];
  while (i < left.length && j < right.length) {
    if (left[i] === right[j]) {
      common.push([i, j]);
      i += 1;
      j += 1;
    } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return common;
}

/** The element with both requests. */
export function compareElement(one, other, tools) {
  const pairs = differences(lines(one), lines(other));
  const changed = pairs.filter(([left, right]) => left !== right).length;
  const cells = pairs.flatMap(([left, right]) => {
    const isSame = left === right;
    const kind = (line, mark) => (isSame ? "same" : line === null ? "gap" : mark);
    return [
      make("div", { class: kind(left, "removed") }, left ?? ""),
      make("div", { class: kind(right, "added") }, right ?? ""),
    ];
  });
  return make("article", { class: "request" },
    make("div", { class: "head" },
      make("h2", {}, `${one.method} ${one.target} and ${other.method} ${other.target}`),
      make("p", { class: "facts" }, changed === 1 ? "1 line differs" : `${changed} lines differ`),
      make("div", { class: "tools", role: "toolbar", "aria-label": "Comparison" }, ...tools)),
    make("div", { class: "compare" },
      make("div", { class: "title" }, `Request ${one.id}`),
      make("div", { class: "title" }, `Request ${other.id}`),
      ...cells));
}
