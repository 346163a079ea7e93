// Gives the token of the address to the server, which answers with a cookie. The token is behind a #, so no
// browser sends it with the address, and no log has it.

import { byId } from "./dom.js";

const PREFIX = "#token=";

async function logIn(token) {
  const response = await fetch("/inspect/api/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  // A reload would come from the page that had the link here, and then the cookie is not sent.
  if (response.ok) location.replace(location.pathname);
  else byId("outcome").textContent = response.status === 403 ? "This is not the token." : `The server responds with ${response.status}.`;
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  logIn(byId("token").value);
});

if (location.hash.startsWith(PREFIX)) {
  let token = location.hash.slice(PREFIX.length);
  try {
    token = decodeURIComponent(token);
  } catch {
    // A token may have a percent sign.
  }
  history.replaceState(null, "", location.pathname);
  logIn(token);
}
