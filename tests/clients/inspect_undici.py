"""The paths of `--inspect` with undici, which has a script."""

from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(check, stage):
    with stage.server("--inspect") as server:
        check.relay(["node", HERE / "inspect_undici.mjs", server.url, server.socket,
                     Path(stage.scratch, "node")])
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
