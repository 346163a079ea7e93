"""http.client of Python's standard library: one request after another, step by step."""

import http.client
import json
import os
import socket

from checks import PATIENCE, expect, expect_in
from httpool import MAX_BODY, METHODS, PAGE


class Connection(http.client.HTTPConnection):
    """A connection that counts how often it was opened."""

    def __init__(self, port, host="127.0.0.1", source=None):
        super().__init__(host, port, timeout=PATIENCE, source_address=source)
        self.opened = 0

    def connect(self):
        super().connect()
        self.opened += 1

    def ask(self, method, target="/any", body=None, fields={}, **options):
        """A request, and its answer with the body read."""
        self.request(method, target, body, fields, **options)
        return self.answer()

    def answer(self):
        answer = self.getresponse()
        answer.body = answer.read()
        return answer


class UnixConnection(Connection):
    """The same over a Unix socket."""

    def __init__(self, path):
        super().__init__(None)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self.path))
        self.opened += 1


class OldConnection(Connection):
    """One that speaks HTTP/1.0."""

    _http_vsn = 10
    _http_vsn_str = "HTTP/1.0"


def run(check, stage):
    with stage.server() as server:
        one_connection(check, server)
        uploads(check, server.port)
        ends(check, server.port)
        with check("the server ends with exit code 0, nothing cut, no warning"):
            server.expect_clean_end()
    # In a server's own count.
    with stage.server() as server, check("500 requests are 1 connection in the server's count"):
        connection = Connection(server.port)
        for number in range(500):
            connection.ask("POST", body=b"%d" % number)
        connection.close()
        report = server.expect_clean_end()
        expect((report.accepted, report.answered), (1, 500), "connections and requests")


def one_connection(check, server):
    connection = Connection(server.port)
    with check("500 requests of all kinds go over one connection, each with its own answer"):
        for number in range(500):
            kind = number % 5
            if kind == 0:
                answer = connection.ask("GET", f"/{number}")
                expect((answer.status, answer.body), (200, PAGE), "the answer to GET")
            elif kind == 1:
                answer = connection.ask("HEAD", f"/{number}")
                expect((answer.status, answer.body), (200, b""), "the answer to HEAD")
                expect(answer.getheader("Content-Length"), str(len(PAGE)), "Content-Length")
            elif kind == 2:
                body = os.urandom(number * 50)
                answer = connection.ask("POST", f"/{number}", body)
                expect((answer.status, answer.body), (200, body), "the answer to POST")
            elif kind == 3:
                pieces = [b"%d," % piece for piece in range(number)]
                answer = connection.ask("POST", f"/{number}", iter(pieces), encode_chunked=True)
                expect((answer.status, answer.body), (200, b"".join(pieces)), "the answer")
            else:
                answer = connection.ask("DELETE", f"/{number}")
                expect((answer.status, answer.getheader("Allow")), (405, METHODS), "the answer")
        expect(connection.opened, 1, "connections opened")
    with check("OPTIONS *"):
        answer = connection.ask("OPTIONS", "*")
        expect((answer.status, answer.getheader("Allow")), (204, METHODS), "the answer")
        expect(connection.opened, 1, "connections opened")
    connection.close()
    with check("a Unix socket serves the same"):
        connection = UnixConnection(server.socket)
        for number in range(50):
            expect(connection.ask("POST", body=b"%d" % number).body, b"%d" % number, "the body")
        expect(connection.opened, 1, "connections opened")
        connection.close()


def uploads(check, port):
    connection = Connection(port)
    with check("10 MiB from an iterator, chunked, come back"):
        pieces = [os.urandom(40_960) for _ in range(256)]
        answer = connection.ask("POST", body=iter(pieces), encode_chunked=True)
        expect((answer.status, answer.body), (200, b"".join(pieces)), "the answer")
    with check("chunks of one byte come back"):
        answer = connection.ask("POST", body=iter([b"x"] * 2000), encode_chunked=True)
        expect((answer.status, answer.body), (200, b"x" * 2000), "the answer")
    with check("10 MB of JSON come back, with their type"):
        text = json.dumps(["é\u2028\"" * 20] * 36_000).encode()
        fields = {"Content-Type": "application/json; charset=utf-8"}
        answer = connection.ask("POST", body=text, fields=fields)
        expect((answer.status, answer.body), (200, text), "the answer")
        expect(answer.getheader("Content-Type"), fields["Content-Type"], "Content-Type")
        expect(connection.opened, 1, "connections opened")
    with check("a client that expects `100 Continue` gets it, then the answer"):
        expecting(connection, 5)
        expect_in(b"HTTP/1.1 100 Continue\r\n\r\n", connection.sock.recv(1024), "what came")
        connection.send(b"hello")
        expect(connection.answer().body, b"hello", "the body")
    with check("the same again on that connection"):
        expecting(connection, 5)
        connection.send(b"again")  # http.client passes over the interim answer itself.
        expect(connection.answer().body, b"again", "the body")
        expect(connection.opened, 1, "connections opened")
    with check("a client that expects, with too much to send, gets a 413 instead"):
        expecting(connection, MAX_BODY + 1)
        answer = connection.answer()
        expect((answer.status, answer.getheader("Connection")), (413, "close"), "the answer")
    connection.close()
    for how, options in [("with its length", {}), ("chunked", {"encode_chunked": True})]:
        with check(f"11 MiB sent {how}, to the last byte, get a 413 and no reset"):
            connection = Connection(port)
            body = os.urandom(11 * 1024 * 1024)
            answer = connection.ask("POST", body=iter([body]) if options else body, **options)
            expect((answer.status, answer.getheader("Connection")), (413, "close"), "the answer")
            connection.close()


def expecting(connection, length, target="/any"):
    """Sends only a head that expects `100 Continue`."""
    connection.putrequest("POST", target)
    connection.putheader("Content-Length", str(length))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()


def ends(check, port):
    with check("HTTP/1.0 gets its answer, and the end of the connection"):
        connection = OldConnection(port)
        for number in range(3):
            answer = connection.ask("POST", body=b"%d" % number)
            expect((answer.body, answer.will_close), (b"%d" % number, True), "the answer")
        expect(connection.opened, 3, "connections opened")
    with check("HTTP/1.0 with `Connection: keep-alive` keeps it"):
        connection = OldConnection(port)
        for number in range(3):
            answer = connection.ask("POST", body=b"%d" % number,
                                    fields={"Connection": "keep-alive"})
            expect((answer.body, answer.will_close), (b"%d" % number, False), "the answer")
        expect(connection.opened, 1, "connections opened")
        connection.close()
    with check("a client that leaves its connection in the middle of a body harms nobody"):
        for _ in range(20):
            connection = Connection(port)
            connection.putrequest("POST", "/any")
            connection.putheader("Content-Length", "100000")
            connection.endheaders(b"not all of it")
            connection.close()
        connection = Connection(port)
        expect(connection.ask("POST", body=b"all of it").body, b"all of it", "the body")
        connection.close()
    with check("a request without Host gets a 400 and the end"):
        connection = Connection(port)
        connection.putrequest("GET", "/", skip_host=True)
        connection.endheaders()
        answer = connection.answer()
        expect((answer.status, answer.getheader("Connection")), (400, "close"), "the answer")
