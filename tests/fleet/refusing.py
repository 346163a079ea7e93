"""A server of HTTP/2 that handles some requests and refuses the others."""

import http.server
import socket
import struct
import threading
from contextlib import suppress

from checks import wait_for
from httpool import PAGE

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, REFUSED_STREAM = 0, 7
# The status 200, by its number in the static table of HPACK.
STATUS_200 = b"\x88"


class Refusing:
    """Echoes requests like httpool, until it is told to collect them. Its checks always succeed."""

    def __init__(self, address):
        self._listener = socket.create_server((address, 0))
        self._admin = http.server.ThreadingHTTPServer((address, 0), _Ready)
        self.port = self._listener.getsockname()[1]
        self.admin_port = self._admin.server_address[1]
        self._collects = False
        # The requests that wait: their connection, stream and body.
        self.collected = []
        self._lock = threading.Lock()
        self._connections = []
        for loop in (self._accept, self._admin.serve_forever):
            threading.Thread(target=loop, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._admin.shutdown()
        self._admin.server_close()
        self._listener.close()
        for connection in self._connections:
            _close(connection)

    def collect(self):
        """Answers no further requests."""
        self._collects = True

    def wait_for_collected(self, count):
        wait_for(f"{count} requests", lambda: len(self.collected) == count)

    def end(self, handled, refuse):
        """Answers the first ones of the collected requests, and refuses the others. Then ends."""
        with self._lock:
            self._listener.close()
            [connection] = {connection for connection, _, _ in self.collected}
            last = self.collected[handled - 1][1]
            refuse(connection, last, [stream for _, stream, _ in self.collected[handled:]])
            for connection, stream, body in self.collected[:handled]:
                _respond(connection, stream, body)
            # A proxy may keep the connection until it is closed.
            _close(connection)

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        stream = connection.makefile("rb")
        bodies = {}
        with suppress(OSError, struct.error):
            assert stream.read(len(PREFACE)) == PREFACE
            connection.sendall(_frame(SETTINGS, 0, 0))
            while True:
                high, low, kind, flags, number = struct.unpack(">BHBBL", stream.read(9))
                payload = stream.read(high << 16 | low)
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(_frame(SETTINGS, ACK, 0))
                elif kind == PING and not flags & ACK:
                    connection.sendall(_frame(PING, ACK, 0, payload))
                elif kind in (HEADERS, DATA):
                    bodies[number] = bodies.get(number, b"") + payload * (kind == DATA)
                    if flags & END_STREAM:
                        self._handle(connection, number, bodies.pop(number))

    def _handle(self, connection, stream, body):
        with self._lock:
            if self._collects:
                self.collected.append((connection, stream, body))
            else:
                _respond(connection, stream, body)


def by_goaway(connection, last, _):
    """Names the last request that is handled."""
    connection.sendall(_frame(GOAWAY, 0, 0, struct.pack(">LL", last, NO_ERROR)))


def by_reset(connection, _, streams):
    """Resets each of the others."""
    for stream in streams:
        connection.sendall(_frame(RST_STREAM, 0, stream, struct.pack(">L", REFUSED_STREAM)))


class _Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def _respond(connection, stream, body):
    connection.sendall(_frame(HEADERS, END_HEADERS, stream, STATUS_200) +
                       _frame(DATA, END_STREAM, stream, body or PAGE))


def _frame(kind, flags, stream, payload=b""):
    length = len(payload)
    return struct.pack(">BHBBL", length >> 16, length & 0xFFFF, kind, flags, stream) + payload


def _close(connection):
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
