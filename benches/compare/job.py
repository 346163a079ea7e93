"""What every server must do before it is measured."""

from __future__ import annotations

import http.client
import socket
import ssl

PAGE = b"<h1>Welcome to my Server</h1>"
PATIENCE = 5.0

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Broken(Exception):
    """The server does not do its job."""


def warm_up(port: int, scheme: str = "http") -> None:
    """Some requests, for what a server sets up only when it is asked."""
    for _ in range(5):
        _ask(port, "GET", scheme=scheme)


def check(port: int, *, posts: bool) -> None:
    status, kind, body = _ask(port, "GET")
    if status != 200 or body != PAGE or not kind.startswith("text/html"):
        raise Broken(f"GET is answered with {status}, {kind!r}, {body[:40]!r}")
    for size in (20, 1024, 65536) if posts else ():
        sent = b'{"data":"' + b"a" * (size - 11) + b'"}'
        status, kind, body = _ask(port, "POST", sent)
        if status != 200 or body != sent or kind != "application/json":
            raise Broken(
                f"POST of {size} bytes is answered with {status}, {kind!r}, {len(body)} bytes"
            )
    answers = _exchange(port, GET * 2 + LAST_GET)
    if answers.count(PAGE) != 3:
        raise Broken(f"3 pipelined requests have {answers.count(PAGE)} answers")


def check_floor(port: int) -> None:
    """The floor answers by counting bytes, and can't do more than a scenario asks."""
    if _exchange(port, LAST_GET).count(PAGE) != 1:
        raise Broken("GET is not answered")


def _ask(
    port: int, method: str, body: bytes | None = None, scheme: str = "http"
) -> tuple[int, str, bytes]:
    if scheme == "https":
        # The certificate was made a moment ago, and nobody knows it.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=PATIENCE, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    fields = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, "/", body, fields)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type") or "", answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"{method}: {error!r}") from error
    finally:
        connection.close()


def _exchange(port: int, requests: bytes) -> bytes:
    """What comes until the server ends the connection."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(requests)
            while part := client.recv(65536):
                received += part
    except OSError as error:
        raise Broken(f"Connection: close: {error!r} after {len(received)} bytes") from error
    return received
