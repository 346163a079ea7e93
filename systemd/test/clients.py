"""Clients of the checks, which run in the network of the container.

    clients.py get PORT [TARGET]       prints status and body of GET (default target: /)
    clients.py tls PORT TARGET CERT    like get, over TLS, and trusts this certificate
    clients.py echo PORT SIZE          posts SIZE bytes and compares them with the response
    clients.py upload PORT SIZE        like echo, in two halves: prints "half", then reads a line
    clients.py busy PORT               posts large JSON bodies in a loop, which keeps a worker busy
    clients.py load PORT               sends requests until standard input ends, then prints counts
    clients.py load-http2 PORT         the same with HTTP/2 and several requests at a time
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import http2

TIMEOUT = 20

# A server in a drain keeps idle connections for this many seconds (--drain-idle). A client whose
# last request is older may find the connection closed, and has lost no request.
GRACE = 0.1

# Clients of each kind: with one connection, and with a new connection for each request.
CLIENTS = 4


def main() -> None:
    command, port, *rest = sys.argv[1:]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT)
    if command == "get":
        _get(connection, rest[0] if rest else "/")
    elif command == "tls":
        target, certificate = rest
        trust = ssl.create_default_context(cafile=certificate)
        _get(http.client.HTTPSConnection("localhost", int(port), context=trust), target)
    elif command == "echo":
        body = b"x" * int(rest[0])
        connection.request("POST", "/", body)
        assert connection.getresponse().read() == body, "the response has another body"
    elif command == "upload":
        _upload(connection, int(rest[0]))
    elif command == "busy":
        _keep_busy(connection)
    elif command == "load-http2":
        _load([partial(http2.send_requests, int(port))] * CLIENTS)
    else:
        keeping = [partial(_send_requests, int(port), keeps) for keeps in (True, False)]
        _load(keeping * CLIENTS)


def _get(connection: http.client.HTTPConnection, target: str) -> None:
    connection.request("GET", target)
    response = connection.getresponse()
    print(response.status, response.read().decode())


def _upload(connection: http.client.HTTPConnection, size: int) -> None:
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str(size))
    connection.endheaders(b"x" * (size // 2))
    print("half", flush=True)
    sys.stdin.readline()
    connection.send(b"x" * (size - size // 2))
    response = connection.getresponse()
    assert response.read() == b"x" * size, "the response has another body"
    assert response.getheader("Connection") == "close", "the last response does not say close"
    print("whole")


def _keep_busy(connection: http.client.HTTPConnection) -> None:
    body = b"[%s]" % b",".join([b"1"] * 3_000_000)
    while True:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.read() == body, "the response has another body"


def _load(loops: list[Callable[[Counter[str], threading.Event], None]]) -> None:
    counts: Counter[str] = Counter()
    done = threading.Event()
    clients = [threading.Thread(target=loop, args=(counts, done)) for loop in loops]
    for client in clients:
        client.start()
    sys.stdin.read()
    done.set()
    for client in clients:
        client.join()
    print(json.dumps(counts))


def _send_requests(port: int, keeps: bool, counts: Counter[str], done: threading.Event) -> None:
    connection = None
    headers = {} if keeps else {"Connection": "close"}
    last = now = time.monotonic()
    while not done.is_set():
        last, now = now, time.monotonic()
        is_late = connection and now - last > GRACE
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, TIMEOUT)
            connection.request("POST", "/", b"asked", headers)
            response = connection.getresponse()
            assert response.read() == b"asked", "the response has another body"
            ends = response.will_close
        except (OSError, http.client.HTTPException, AssertionError) as error:
            is_closed = isinstance(error, ConnectionError)
            counts["late" if is_late and is_closed else repr(error)] += 1
            ends = True
        else:
            counts["responses"] += 1
        if ends and connection:
            connection.close()
            connection = None


if __name__ == "__main__":
    main()
