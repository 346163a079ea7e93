// The addresses of the server's interface, and which requests this page shows.

const path = location.pathname.replace(/\/+$/, "");
const parts = /^\/inspect(?:\/inbox\/([^/]+))?(?:\/r\/(\d+))?$/.exec(path);

/** The id of the inbox that this page shows; null for all requests outside of inboxes. */
export const inbox = parts?.[1] ?? null;

/** The page's own address, and that of its interface. */
export const page = inbox ? `/inspect/inbox/${inbox}` : "/inspect";
export const api = inbox ? `/inspect/api/inbox/${inbox}` : "/inspect/api";

/** The id of the request that the address names. */
export function linked() {
  const id = parts?.[2] ?? /^#(\d+)$/.exec(location.hash)?.[1];
  return id ? Number(id) : null;
}

let secrets = false;
export const showsSecrets = () => secrets;
export const setSecrets = (shown) => { secrets = shown; };

const query = () => (secrets ? "?secrets=show" : "");

export const exportUrl = (format) => `${api}/export.${format}${query()}`;
export const bodyUrl = (id) => `${api}/requests/${id}/body`;

/** All that is known of one request; null if the server does not keep it any more. */
export async function details(id) {
  const response = await fetch(`${api}/requests/${id}${query()}`);
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(await reason(response));
  return response.json();
}

/** The curl command that repeats a request. */
export async function curl(id) {
  const response = await fetch(`${api}/requests/${id}/curl${query()}`);
  if (!response.ok) throw new Error(await reason(response));
  return response.text();
}

export async function clear() {
  const response = await fetch(`${api}/requests`, { method: "DELETE" });
  if (!response.ok) throw new Error(await reason(response));
}

/** Has the server keep its requests of this moment, however many arrive, and returns their list. */
export async function hold() {
  const response = await fetch(`${api}/hold`, { method: "POST" });
  if (!response.ok) throw new Error(await reason(response));
  return response.json();
}

export const release = () => fetch(`${api}/hold`, { method: "DELETE" });

/** The response of this inbox. */
export async function answer() {
  const response = await fetch(`${api}/response`);
  if (!response.ok) throw new Error(await reason(response));
  return response.json();
}

export async function setAnswer(value) {
  const response = await fetch(`${api}/response`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(value),
  });
  if (!response.ok) throw new Error(await reason(response));
}

/** The sentence of an error response. */
async function reason(response) {
  const type = response.headers.get("content-type") ?? "";
  const text = await response.text();
  if (!type.includes("json")) return text.trim() || `status ${response.status}`;
  const problem = JSON.parse(text);
  return problem.detail ?? problem.title ?? `status ${response.status}`;
}
