"""http.client of Python's standard library: sequential requests, sent step by step."""

import http.client
import json
import os
import socket

from checks import TIMEOUT, expect, expect_in
from httpool import MAX_BODY, METHODS, PAGE


class Connection(http.client.HTTPConnection):
    """A connection that counts how often it was opened."""

    def __init__(self, port, host="127.0.0.1", source=None):
        super().__init__(host, port, timeout=TIMEOUT, source_address=source)
        self.opened = 0

    def connect(self):
        super().connect()
        self.opened += 1

    def exchange(self, method, target="/any", body=None, headers={}, **options):
        """Sends a request, and returns the response with its body."""
        self.request(method, target, body, headers, **options)
        return self.receive()

    def receive(self):
        response = self.getresponse()
        response.body = response.read()
        return response


class UnixConnection(Connection):
    """A connection over a Unix socket."""

    def __init__(self, path):
        super().__init__(None)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self.path))
        self.opened += 1


class OldConnection(Connection):
    """A connection that uses HTTP/1.0."""

    _http_vsn = 10
    _http_vsn_str = "HTTP/1.0"


def run(check, stage):
    with stage.server() as server:
        sequential(check, server)
        uploads(check, server.port)
        connection_ends(check, server.port)
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
    with stage.server() as server, check("500 requests are 1 connection in the server's count"):
        connection = Connection(server.port)
        for number in range(500):
            connection.exchange("POST", body=b"%d" % number)
        connection.close()
        report = server.expect_clean_end()
        expect((report.accepted, report.answered), (1, 500), "connections and requests")


def sequential(check, server):
    connection = Connection(server.port)
    with check("500 requests of all kinds use one connection, and each gets its own response"):
        for number in range(500):
            kind = number % 5
            if kind == 0:
                response = connection.exchange("GET", f"/{number}")
                expect((response.status, response.body), (200, PAGE), "the response to GET")
            elif kind == 1:
                response = connection.exchange("HEAD", f"/{number}")
                expect((response.status, response.body), (200, b""), "the response to HEAD")
                expect(response.getheader("Content-Length"), str(len(PAGE)), "Content-Length")
            elif kind == 2:
                body = os.urandom(number * 50)
                response = connection.exchange("POST", f"/{number}", body)
                expect((response.status, response.body), (200, body), "the response to POST")
            elif kind == 3:
                pieces = [b"%d," % piece for piece in range(number)]
                response = connection.exchange("POST", f"/{number}", iter(pieces),
                                               encode_chunked=True)
                expect((response.status, response.body), (200, b"".join(pieces)), "the response")
            else:
                response = connection.exchange("DELETE", f"/{number}")
                allow = response.getheader("Allow")
                expect((response.status, allow), (405, METHODS), "the response")
        expect(connection.opened, 1, "connections opened")
    with check("OPTIONS *"):
        response = connection.exchange("OPTIONS", "*")
        expect((response.status, response.getheader("Allow")), (204, METHODS), "the response")
        expect(connection.opened, 1, "connections opened")
    connection.close()
    with check("a Unix socket works the same"):
        connection = UnixConnection(server.socket)
        for number in range(50):
            body = b"%d" % number
            expect(connection.exchange("POST", body=body).body, body, "the body")
        expect(connection.opened, 1, "connections opened")
        connection.close()


def uploads(check, port):
    connection = Connection(port)
    with check("10 MiB from an iterator, chunked, come back"):
        pieces = [os.urandom(40_960) for _ in range(256)]
        response = connection.exchange("POST", body=iter(pieces), encode_chunked=True)
        expect((response.status, response.body), (200, b"".join(pieces)), "the response")
    with check("chunks of one byte come back"):
        response = connection.exchange("POST", body=iter([b"x"] * 2000), encode_chunked=True)
        expect((response.status, response.body), (200, b"x" * 2000), "the response")
    with check("10 MB of JSON come back, with their type"):
        text = json.dumps(["é\u2028\"" * 20] * 36_000).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        response = connection.exchange("POST", body=text, headers=headers)
        expect((response.status, response.body), (200, text), "the response")
        expect(response.getheader("Content-Type"), headers["Content-Type"], "Content-Type")
        expect(connection.opened, 1, "connections opened")
    with check("a client that expects `100 Continue` gets it, then the response"):
        expecting(connection, 5)
        expect_in(b"HTTP/1.1 100 Continue\r\n\r\n", connection.sock.recv(1024), "the bytes")
        connection.send(b"hello")
        expect(connection.receive().body, b"hello", "the body")
    with check("the same again on that connection"):
        expecting(connection, 5)
        connection.send(b"again")  # http.client skips the interim response.
        expect(connection.receive().body, b"again", "the body")
        expect(connection.opened, 1, "connections opened")
    with check("a client that expects `100 Continue` with a body over the limit gets a 413"):
        expecting(connection, MAX_BODY + 1)
        response = connection.receive()
        expect((response.status, response.getheader("Connection")), (413, "close"), "the response")
    connection.close()
    for how, options in [("with its length", {}), ("chunked", {"encode_chunked": True})]:
        with check(f"11 MiB sent {how}, completely, get a 413 and no reset"):
            connection = Connection(port)
            body = os.urandom(11 * 1024 * 1024)
            content = iter([body]) if options else body
            response = connection.exchange("POST", body=content, **options)
            expect((response.status, response.getheader("Connection")), (413, "close"), "response")
            connection.close()


def expecting(connection, length, target="/any"):
    """Sends only a head that expects `100 Continue`."""
    connection.putrequest("POST", target)
    connection.putheader("Content-Length", str(length))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()


def connection_ends(check, port):
    with check("HTTP/1.0 gets a response, and its connection is closed"):
        connection = OldConnection(port)
        for number in range(3):
            response = connection.exchange("POST", body=b"%d" % number)
            expect((response.body, response.will_close), (b"%d" % number, True), "the response")
        expect(connection.opened, 3, "connections opened")
    with check("HTTP/1.0 with `Connection: keep-alive` keeps the connection"):
        connection = OldConnection(port)
        for number in range(3):
            response = connection.exchange("POST", body=b"%d" % number,
                                    headers={"Connection": "keep-alive"})
            expect((response.body, response.will_close), (b"%d" % number, False), "the response")
        expect(connection.opened, 1, "connections opened")
        connection.close()
    with check("a client that disconnects in the middle of a body affects no other client"):
        for _ in range(20):
            connection = Connection(port)
            connection.putrequest("POST", "/any")
            connection.putheader("Content-Length", "100000")
            connection.endheaders(b"not all of it")
            connection.close()
        connection = Connection(port)
        expect(connection.exchange("POST", body=b"all of it").body, b"all of it", "the body")
        connection.close()
    with check("a request without Host gets a 400 and a close"):
        connection = Connection(port)
        connection.putrequest("GET", "/", skip_host=True)
        connection.endheaders()
        response = connection.receive()
        expect((response.status, response.getheader("Connection")), (400, "close"), "the response")
