"""A client of HTTP/2 that loses no request when its server restarts.

When the server announces the end of a connection, the client sends further requests on a new one
and finishes those on the old one. It repeats only requests that the server has refused.
"""

from __future__ import annotations

import itertools
import socket
import struct
import threading
from collections import Counter

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# POST, http, / and the host, by their numbers in the static table of HPACK.
REQUEST = b"\x83\x86\x84\x01\x03rig"
STATUS_200, NO_TABLE = b"\x88", b"\x20"

# Requests that a client keeps open.
OPEN = 8

TIMEOUT = 20

_numbers = itertools.count()


def send_requests(port: int, counts: Counter[str], done: threading.Event) -> None:
    """Sends requests until `done` is set. Counts responses, refused requests and errors."""
    refused: list[bytes] = []
    leaving = None
    try:
        while not done.is_set():
            connection = _Connection(port, refused)
            # The new connection may wait in the queue until the next server runs.
            if leaving:
                leaving.finish(counts)
            connection.keep_requesting(counts, done)
            leaving = connection
        if leaving:
            leaving.finish(counts)
    except (OSError, AssertionError, struct.error) as error:
        counts[repr(error)] += 1


class _Connection:
    def __init__(self, port: int, refused: list[bytes]) -> None:
        """Connects and sends the first requests."""
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._input = self._socket.makefile("rb")
        self._refused = refused
        # The body of each open request, and of its response so far.
        self._open: dict[int, tuple[bytes, bytes]] = {}
        self._next = 1
        # The last request that the server handles, once it has said so.
        self._last: int | None = None
        large = struct.pack(">L", 0x7FFF_0000)
        opening = PREFACE + _frame(SETTINGS, 0, 0) + _frame(WINDOW_UPDATE, 0, 0, large)
        self._socket.sendall(opening + self._new_requests())

    def keep_requesting(self, counts: Counter[str], done: threading.Event) -> None:
        """Keeps requests open until the server announces its end, or `done` is set."""
        while self._last is None and not done.is_set():
            self._socket.sendall(self._new_requests())
            self._receive(counts)

    def finish(self, counts: Counter[str]) -> None:
        """Waits for the responses to the open requests."""
        while any(self._last is None or stream <= self._last for stream in self._open):
            self._receive(counts)
        self._refused += [body for body, _ in self._open.values()]
        counts.update(["refused"] * len(self._open))
        self._socket.close()

    def _new_requests(self) -> bytes:
        frames = b""
        while len(self._open) < OPEN:
            body = self._refused.pop() if self._refused else b"%d" % next(_numbers)
            frames += _frame(HEADERS, END_HEADERS, self._next, REQUEST)
            frames += _frame(DATA, END_STREAM, self._next, body)
            self._open[self._next] = body, b""
            self._next += 2
        return frames

    def _receive(self, counts: Counter[str]) -> None:
        high, low, kind, flags, stream = struct.unpack(">BHBBL", self._input.read(9))
        payload = self._input.read(high << 16 | low)
        assert kind != RST_STREAM, "a request was reset"
        if kind == PING and not flags & ACK:
            self._socket.sendall(_frame(PING, ACK, 0, payload))
        elif kind == SETTINGS and not flags & ACK:
            self._socket.sendall(_frame(SETTINGS, ACK, 0))
        elif kind == GOAWAY:
            self._last, code = struct.unpack(">LL", payload[:8])
            assert code == 0, f"GOAWAY with code {code}"
        elif kind == HEADERS:
            # The first one begins with the size of the table.
            assert payload.lstrip(NO_TABLE)[:1] == STATUS_200, "the status is not 200"
        elif kind == DATA:
            body, received = self._open[stream]
            self._open[stream] = body, received + payload
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            body, received = self._open.pop(stream)
            assert received == body, "the response has another body"
            counts["responses"] += 1


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    length = len(payload)
    return struct.pack(">BHBBL", length >> 16, length & 0xFFFF, kind, flags, stream) + payload
