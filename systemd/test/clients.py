"""Clients for the checks, which run in the container's network.

    clients.py get PORT [TARGET]       the status and the body of GET, of / unless it says else
    clients.py tls PORT TARGET CERT    the same over TLS, from who has this certificate
    clients.py echo PORT SIZE          posts so many bytes and compares them with what comes back
    clients.py upload PORT SIZE        the same in two halves: says "half", and waits for a line
    clients.py busy PORT               has so much JSON read, again and again, that it takes a worker
    clients.py load PORT               asks until standard input ends, then says what came of it
"""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from collections import Counter

PATIENCE = 20

# Seconds for which a server that ends keeps a connection without a request (--drain-idle). Who asks
# later than that after he has asked last may find it closed, and has lost nothing.
GRACE = 0.1

# Each kind of client: one keeps its connection, the other makes a new one for each request.
CLIENTS = 4


def main() -> None:
    what, port, *rest = sys.argv[1:]
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=PATIENCE)
    if what == "get":
        _get(connection, rest[0] if rest else "/")
    elif what == "tls":
        target, certificate = rest
        trust = ssl.create_default_context(cafile=certificate)
        _get(http.client.HTTPSConnection("localhost", int(port), context=trust), target)
    elif what == "echo":
        body = b"x" * int(rest[0])
        connection.request("POST", "/", body)
        assert connection.getresponse().read() == body, "another body came back"
    elif what == "upload":
        _upload(connection, int(rest[0]))
    elif what == "busy":
        _keep_busy(connection)
    else:
        _load(int(port))


def _get(connection: http.client.HTTPConnection, target: str) -> None:
    connection.request("GET", target)
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())


def _upload(connection: http.client.HTTPConnection, size: int) -> None:
    connection.putrequest("POST", "/")
    connection.putheader("Content-Length", str(size))
    connection.endheaders(b"x" * (size // 2))
    print("half", flush=True)
    sys.stdin.readline()
    connection.send(b"x" * (size - size // 2))
    answer = connection.getresponse()
    assert answer.read() == b"x" * size, "another body came back"
    assert answer.getheader("Connection") == "close", "the last answer does not say so"
    print("whole")


def _keep_busy(connection: http.client.HTTPConnection) -> None:
    body = b"[%s]" % b",".join([b"1"] * 3_000_000)
    while True:
        connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.read() == body, "another body came back"


def _load(port: int) -> None:
    tally: Counter[str] = Counter()
    over = threading.Event()
    clients = [
        threading.Thread(target=_ask, args=(port, keeps, tally, over))
        for keeps in (True, False)
        for _ in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    sys.stdin.read()
    over.set()
    for client in clients:
        client.join()
    print(json.dumps(tally))


def _ask(port: int, keeps: bool, tally: Counter[str], over: threading.Event) -> None:
    connection = None
    fields = {} if keeps else {"Connection": "close"}
    asked = now = time.monotonic()
    while not over.is_set():
        asked, now = now, time.monotonic()
        is_late = connection and now - asked > GRACE
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", port, PATIENCE)
            connection.request("POST", "/", b"asked", fields)
            answer = connection.getresponse()
            assert answer.read() == b"asked", "another body came back"
            ends = answer.will_close
        except (OSError, http.client.HTTPException, AssertionError) as error:
            is_closed = isinstance(error, ConnectionError)
            tally["late" if is_late and is_closed else repr(error)] += 1
            ends = True
        else:
            tally["answered"] += 1
        if ends and connection:
            connection.close()
            connection = None


if __name__ == "__main__":
    main()
