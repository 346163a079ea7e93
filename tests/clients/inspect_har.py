"""The export of `--inspect` as an HTTP Archive, against the schema of the format."""

import urllib.request
from http.client import HTTPException
from pathlib import Path

from checks import TIMEOUT

HERE = Path(__file__).resolve().parent

FORM = "application/x-www-form-urlencoded"

# Bodies and headers of all kinds that the format tells apart.
REQUESTS = (
    ("GET", "/?a=1&a=2&b", None, {"Cookie": "a=b; c=d"}),
    ("POST", "/form", b"a=1&b=%C3%A9", {"Content-Type": FORM}),
    ("POST", "/not-a-form", b"a=%FF", {"Content-Type": FORM}),
    ("POST", "/text", b"hello", {"Content-Type": "text/plain"}),
    ("POST", "/binary", b"\x00\xff", {"Content-Type": "image/png"}),
    ("POST", "/empty", b"", {}),
    ("GET", "/inbox/abc", None, {}),
    ("GET", "/?fault=reset", None, {}),
    ("GET", "/?fault=truncate=head", None, {}),
    ("GET", "/", None, {"X-Long": "x" * 100_000}),
)


def run(check, stage):
    with stage.server("--inspect", "--allow-faults") as server:
        for method, target, body, headers in REQUESTS:
            request = urllib.request.Request(server.url + target, body, headers, method=method)
            try:
                urllib.request.urlopen(request, timeout=TIMEOUT).read()
            except (OSError, HTTPException):
                # Some get no response, and some are rejected.
                pass
        check.relay(["node", HERE / "inspect_har.mjs", server.url, server.socket,
                     Path(stage.scratch, "har")])
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
