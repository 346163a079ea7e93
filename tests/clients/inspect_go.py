"""The paths of `--inspect` with Go's net/http, which has a program."""

import subprocess
from pathlib import Path

from checks import FAMILY_TIMEOUT, require

HERE = Path(__file__).resolve().parent


def run(check, stage):
    program = Path(stage.scratch, "inspect-go")
    with check("the Go program is built"):
        built = subprocess.run(["go", "build", "-o", program, HERE / "inspect_go.go"],
                               capture_output=True, text=True, timeout=2 * FAMILY_TIMEOUT)
        require(built.returncode == 0, built.stderr)
    with stage.server("--inspect", "--workers", "2") as server:
        check.relay([program, server.url])
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
