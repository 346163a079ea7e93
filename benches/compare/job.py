"""The job that every server must do before it is measured."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess

PAGE = b"<h1>Welcome to my Server</h1>"
TIMEOUT = 5.0

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Broken(Exception):
    """The server does not do the job."""


def warm_up(port: int, scheme: str = "http") -> None:
    """Sends some requests, because servers initialise some state on first use."""
    for _ in range(5):
        _request(port, "GET", scheme=scheme)


def check(port: int, *, posts: bool) -> None:
    status, kind, body = _request(port, "GET")
    if status != 200 or body != PAGE or not kind.startswith("text/html"):
        raise Broken(f"GET gets {status}, {kind!r}, {body[:40]!r}")
    for size in (20, 1024, 65536) if posts else ():
        sent = json_of_size(size)
        status, kind, body = _request(port, "POST", sent)
        if status != 200 or body != sent or kind != "application/json":
            raise Broken(
                f"POST of {size} bytes gets {status}, {kind!r}, {len(body)} bytes"
            )
    responses = _exchange(port, GET * 2 + LAST_GET)
    if responses.count(PAGE) != 3:
        raise Broken(f"3 pipelined requests get {responses.count(PAGE)} responses")


def check_http2(url: str, *, page: bytes = PAGE, posts: bool) -> None:
    """The same for HTTP/2, with curl, because Python's library does not speak it."""
    # The certificate is self-signed.
    how = ["--http2", "--insecure"] if url.startswith("https:") else ["--http2-prior-knowledge"]
    for sent in (b"", *map(json_of_size, (20, 1024, 65536) if posts else ())):
        flags = ["--data-binary", "@-", "-H", "Content-Type: application/json"] if sent else []
        done = subprocess.run(
            ["curl", "-qsS", *how, "--max-time", str(TIMEOUT), *flags]
            + ["-w", "%{stderr}%{http_version} %{http_code} %{content_type}", url],
            check=False,
            input=sent,
            capture_output=True,
        )
        expected = "2 200 application/json" if sent else "2 200 text/html"
        what = done.stderr.decode(errors="replace")
        if not what.startswith(expected) or done.stdout != (sent or page):
            raise Broken(f"HTTP/2 with {len(sent)} bytes gets {what}, {len(done.stdout)} bytes")


def json_of_size(size: int) -> bytes:
    return b'{"data":"' + b"a" * (size - 11) + b'"}'


def check_floor(port: int) -> None:
    """The floor counts bytes, so it supports only the requests of the scenarios."""
    if _exchange(port, LAST_GET).count(PAGE) != 1:
        raise Broken("GET gets no response")


def _request(
    port: int, method: str, body: bytes | None = None, scheme: str = "http"
) -> tuple[int, str, bytes]:
    if scheme == "https":
        # The certificate is self-signed.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=TIMEOUT, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, "/", body, headers)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type") or "", response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"{method}: {error!r}") from error
    finally:
        connection.close()


def _exchange(port: int, requests: bytes) -> bytes:
    """Returns the bytes received until the server closes the connection."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
            client.sendall(requests)
            while part := client.recv(65536):
                received += part
    except OSError as error:
        raise Broken(f"Connection: close: {error!r} after {len(received)} bytes") from error
    return received
