// Elements whose content is text. Nothing on this page is ever parsed as markup.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element. Properties that begin with `on` are listeners, all others are attributes;
 * children that are strings become text.
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

let toastTimer = 0;

/** Shows a short message for some seconds. */
export function toast(message) {
  const element = byId("toast");
  element.textContent = message;
  element.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("shown"), 2500);
}

/** Copies text. Browsers have the clipboard interface only with https or on this machine. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { readonly: true });
    area.value = text;
    const parent = document.querySelector("dialog[open]") ?? document.body;
    const focused = document.activeElement;
    parent.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    focused?.focus();
    if (!copied) return toast("The browser does not allow copying.");
  }
  toast(`Copied ${what}.`);
}

/** `812 B`, `4.2 KiB`. */
export function bytes(size) {
  if (size < 1024) return `${size} B`;
  const unit = size < 1024 * 1024 ? ["KiB", 1024] : ["MiB", 1024 * 1024];
  return `${(size / unit[1]).toFixed(1)} ${unit[0]}`;
}

/** `40 µs`, `1.4 ms`, `12 ms`, `1.50 s`. */
export function time(microseconds) {
  if (microseconds == null) return "";
  if (microseconds < 1000) return `${microseconds} µs`;
  const ms = microseconds / 1000;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** `16:50:02`, with milliseconds if asked for. */
export function clock(ms, precise = false) {
  const date = new Date(ms);
  const two = (number) => String(number).padStart(2, "0");
  const seconds = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return precise ? `${seconds}.${String(date.getMilliseconds()).padStart(3, "0")}` : seconds;
}
