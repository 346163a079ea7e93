"""Node's clients; each has its own script."""

from pathlib import Path

HERE = Path(__file__).resolve().parent

SCRIPTS = {"fetch": "fetch.mjs", "undici": "undici.mjs", "node:http": "node_http.mjs"}


def run(check, stage):
    with stage.server() as server:
        check.relay(["node", HERE / SCRIPTS[stage.family], server.url, server.socket,
                     Path(stage.scratch, "node")])
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
