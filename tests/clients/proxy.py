"""nginx and HAProxy in front of the server, tested by clients of the proxy."""

import json
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from checks import TIMEOUT, expect, expect_in, require
from http_client import Connection, UnixConnection, expecting
from httpool import MAX_BODY, METHODS, PAGE

HERE = Path(__file__).resolve().parent

# Concurrent clients. The proxies keep at least as many connections upstream.
CLIENTS = 8

# The outcome of a POST whose upstream connection is closed at that moment, and which must not be
# retried: nginx responds with 502, HAProxy closes the client's connection.
LOST = ("POST 502", "POST unanswered")


# The proxies' TCP address, and the source addresses of their clients.
FRONT = "127.0.90.1"
SOURCES = ("127.0.90.2", "127.0.90.3")


class Proxy:
    """A running proxy that listens on a Unix socket and on a TCP port."""

    # The directory of its configuration.
    directory = HERE

    def __init__(self, kind, *servers, watched=False, protocol=""):
        self.kind = kind
        # HAProxy's options for the protocol of its connections to the servers.
        self.protocol = protocol
        self._directory = tempfile.TemporaryDirectory(prefix="httpool-proxy-")
        home = Path(self._directory.name)
        self.front = home / "front.sock"
        self.admin = home / "admin.sock"
        self.port = _free_port()
        self._output = home / "output"
        self._watched = watched
        start = {"nginx": self._nginx, "haproxy": self._haproxy}[kind]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(start(home, servers), cwd=home, stderr=output,
                                             stdin=subprocess.DEVNULL, stdout=output)
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # On SIGTERM nginx stops its workers; if killed, it would leave them running.
        self._process.terminate()
        try:
            self._process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def connection(self):
        return UnixConnection(self.front)

    def connection_from(self, source):
        """A connection from this source address."""
        return Connection(self.port, FRONT, (source, 0))

    def values(self, *servers):
        """The values of the placeholders in the configuration."""
        if self.kind == "nginx":
            return {"SERVERS": "\n".join(f"server 127.0.0.1:{server.port};" for server in servers),
                    "SOCKET": servers[0].socket}
        lines = [f"server s{number} 127.0.0.1:{server.port} {self.protocol}"
                 for number, server in enumerate(servers)]
        return {"SERVERS": "\n".join(lines),
                "PROXIED": servers[0].proxied_port,
                "WATCHED": f"{lines[0]} check inter 100ms" if self._watched else ""}

    def command(self, text):
        """HAProxy's response to a command on its admin socket."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(TIMEOUT)
            admin.connect(str(self.admin))
            admin.sendall(f"{text}\n".encode())
            return admin.makefile().read()

    def statistics(self, backend, server):
        """HAProxy's statistics of a server, by column."""
        table = self.command("show stat").splitlines()
        names = table[0].removeprefix("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in table[1:] if line]
        [row] = [row for row in rows if (row["pxname"], row["svname"]) == (backend, server)]
        return row

    def _nginx(self, home, servers):
        (home / "temporary").mkdir()
        config = self._configure(home, "nginx.conf", servers)
        # If root starts it, its workers would be another user without access to this directory.
        user = "user root;" if os.geteuid() == 0 else ""
        return ["nginx", "-p", home, "-e", "stderr", "-c", config, "-g", f"daemon off; {user}"]

    def _haproxy(self, home, servers):
        config = self._configure(home, "haproxy.cfg", servers)
        return ["haproxy", "-db", "-f", config]

    def _configure(self, home, name, servers):
        text = (self.directory / name).read_text()
        values = {"FRONT": self.front, "ADMIN": self.admin, "TCP": f"{FRONT}:{self.port}",
                  **self.values(*servers)}
        for key, value in values.items():
            text = text.replace(f"@{key}@", str(value))
        config = home / name
        config.write_text(text)
        return config

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.connection().connect()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"{self.kind} does not listen: {self._output.read_text()}")


def run(check, stage):
    kind = stage.family
    with stage.server() as server:
        with Proxy(kind, server, watched=True) as proxy:
            both_ways(check, proxy)
            body_too_large(check, proxy)
            with check("the server exits cleanly while the proxy keeps connections to it"):
                server.expect_clean_end()
    few_connections(check, stage, kind)
    idle(check, stage, kind)
    client_addresses(check, stage, kind)
    drain(check, stage, kind)
    drain(check, stage, kind, "--drain-delay", "250ms")
    # Without a drain for idle connections, so that some requests are lost.
    drain(check, stage, kind, "--drain-idle", "0ms")


def both_ways(check, proxy, health_check=True):
    # nginx has a location for each configuration; HAProxy streams everything.
    locations = {"nginx": ["/", "/streamed/", "/plain/", "/unix/"], "haproxy": ["/"]}[proxy.kind]
    for location in locations:
        connection = proxy.connection()
        with check(f"{location}: GET, HEAD, OPTIONS and DELETE are forwarded"):
            response = connection.exchange("GET", location)
            expect((response.status, response.body), (200, PAGE), "the response to GET")
            response = connection.exchange("HEAD", location)
            expect((response.status, response.getheader("Content-Length"), response.body),
                   (200, str(len(PAGE)), b""), "the response to HEAD")
            for method, status in [("OPTIONS", 204), ("DELETE", 405)]:
                response = connection.exchange(method, location)
                expect((response.status, response.getheader("Allow")), (status, METHODS), method)
        for size in (0, 1, 70_000, MAX_BODY):
            with check(f"{location}: {size} bytes come back, with their length and chunked"):
                body = os.urandom(size)
                response = connection.exchange("POST", location, body)
                expect((response.status, response.body), (200, body), "the response")
                pieces = [body[at:at + 30_000] for at in range(0, size, 30_000)]
                response = connection.exchange("POST", location, iter(pieces), encode_chunked=True)
                expect((response.status, response.body), (200, body), "the response to chunks")
        with check(f"{location}: a client that expects `100 Continue` gets it, then the response"):
            for _ in range(3):
                expecting(connection, 5, location)
                expect_in(b"HTTP/1.1 100 ", connection.sock.recv(1024), "the received bytes")
                connection.send(b"hello")
                expect(connection.receive().body, b"hello", "the body")
        with check(f"{location}: invalid JSON gets a 400"):
            response = connection.exchange("POST", location, b"[1,]",
                                           {"Content-Type": "application/json"})
            expect(response.status, 400, "the status")
            expect_in(b"line 1 column 4", response.body, "the body")
        with check(f"{location}: the client used one connection to the proxy"):
            expect(connection.opened, 1, "connections opened")
        connection.close()
    if proxy.kind == "haproxy" and health_check:
        with check("HAProxy's health check reports the server as up"):
            expect(health(proxy), "L7OK 204", "the state of the health check")


def health(proxy):
    """The result of HAProxy's last health check; waits for the first one."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        row = proxy.statistics("watched", "s0")
        if row["check_status"] not in ("", "INI") or time.monotonic() > deadline:
            return f"{row['check_status']} {row['check_code']}"
        time.sleep(0.02)


def body_too_large(check, proxy):
    streamed = {"nginx": "/streamed/", "haproxy": "/"}[proxy.kind]
    for location in sorted({streamed, "/"}):
        with check(f"{location}: a body over the limit gets the server's 413"):
            connection = proxy.connection()
            response = connection.exchange("POST", location, os.urandom(11 * 1024 * 1024))
            expect(response.status, 413, "the status")
            expect_in(b"the request body is too large", response.body, "the body")
            connection.close()
    with check(f"{streamed}: the 413 arrives before the body is complete, so the body is streamed"):
        connection = proxy.connection()
        connection.putrequest("POST", streamed)
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for _ in range(11):
            connection.send(b"100000\r\n" + bytes(1024 * 1024) + b"\r\n")
        response = connection.receive()
        expect(response.status, 413, "the status")
        expect_in(b"the request body is too large", response.body, "the body")
        connection.close()
    if proxy.kind == "haproxy":
        with check("a client that sends Expect gets the server's 413 without an interim 100"):
            connection = proxy.connection()
            expecting(connection, MAX_BODY + 1)
            expect_in(b"HTTP/1.1 413 ", connection.sock.recv(1024), "the received bytes")
            connection.close()


def few_connections(check, stage, kind):
    total = 800
    with stage.server() as server, Proxy(kind, server) as proxy:
        with check(f"{total} requests of {CLIENTS} concurrent clients get their own responses"):
            load = Load(proxy, total)
            load.run()
            expect(dict(load.outcomes()), {"right": total}, "the outcomes")
        with check(f"the server counts at most {CLIENTS} connections"):
            report = server.expect_clean_end()
            expect(report.answered, total, "requests answered")
            require(0 < report.accepted <= CLIENTS, f"{report.accepted} connections")
    with stage.server() as server, Proxy(kind, server) as proxy:
        with check("100 clients, one after another, share one connection to the server"):
            for number in range(100):
                connection = proxy.connection()
                body = b"%d" % number
                expect(connection.exchange("POST", body=body).body, body, "the body")
                connection.close()
            report = server.expect_clean_end()
            expect((report.accepted, report.answered), (1, 100), "connections and requests")


def idle(check, stage, kind):
    with stage.server("--idle-timeout", "200ms") as server, Proxy(kind, server) as proxy:
        with check("the proxy notices a closed idle connection and opens another one"):
            connection = proxy.connection()
            for number in range(3):
                body = b"%d" % number
                response = connection.exchange("POST", body=body)
                expect((response.status, response.body), (200, body), "the response")
                server.wait_until_unconnected()
            connection.close()
            report = server.expect_clean_end()
            expect((report.accepted, report.answered), (3, 3), "connections and requests")


def client_addresses(check, stage, kind):
    """The client address that the server sees, whatever headers the client sends."""
    trusting = ("--listen-proxy-protocol", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1",
                "--trusted-proxy", "unix")
    for name in ("x-forwarded", "x-forwarded-for", "forwarded"):
        with stage.server(*trusting, "--forwarded-by", name) as server:
            with Proxy(kind, server) as proxy:
                # Without X-Forwarded-Proto, the scheme is unknown.
                scheme = None if name == "x-forwarded-for" else "http"
                locations = ["/headers/", "/unix/headers/"] if kind == "nginx" else ["/headers/"]
                for location in locations:
                    client_address(check, proxy, location, scheme, f" with {name}")
                if kind == "haproxy" and name == "x-forwarded":
                    client_address(check, proxy, "/v1/", None, " with version 1 of PROXY")
                    client_address(check, proxy, "/v2/", "http", " with version 2 of PROXY")
            server.expect_clean_end()
    with stage.server() as server, Proxy(kind, server) as proxy:
        with check("a server without trusted proxies reports the proxy as the client"):
            connection = proxy.connection_from(SOURCES[0])
            block = json.loads(connection.exchange("GET", "/headers/?origin").body)
            expect((block.get("proxy"), block["client"]), (None, block["peer"]), "the client info")
            connection.close()


def client_address(check, proxy, location, scheme, how):
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https",
            "Forwarded": "for=203.0.113.9;proto=https"}
    with check(f"{location}: two alternating clients are told apart by address{how}, and their own "
               "forwarding headers are ignored"):
        connections = [proxy.connection_from(source) for source in SOURCES]
        for headers in ({}, forged, {}, forged):
            for source, connection in zip(SOURCES, connections):
                response = connection.exchange("GET", f"{location}?origin", headers=headers)
                block = json.loads(response.body)
                require(block.get("proxy") == block["peer"], f"the proxy is not the peer: {block}")
                expect(block["client"].split(":")[0], source, "the client")
                expect(block.get("scheme"), scheme, "the scheme")
        for connection in connections:
            connection.close()


def _free_port():
    with socket.socket() as listener:
        listener.bind((FRONT, 0))
        return listener.getsockname()[1]


def drain(check, stage, kind, *flags):
    """Shuts down one of two servers under load."""
    total = 2000
    how = f" with {' '.join(flags)}" if flags else ""
    with stage.server(*flags) as leaving, stage.server() as staying:
        with Proxy(kind, leaving, staying) as proxy:
            load = Load(proxy, total)
            load.at(total // 4, leaving.terminate)
            load.run()
            report, other = leaving.wait_for_end(), staying.stop()
        with check(f"a server that stops under load{how} exits cleanly"):
            leaving.expect_clean_end()
            require(report.answered > 0 and other.answered > total // 4,
                    f"only one of them has responded: {report}, {other}")
        with check(f"of {total} requests, no GET fails, and no response is wrong or incomplete"):
            bad = {outcome: count for outcome, count in load.outcomes().items()
                   if outcome not in ("right", *LOST)}
            expect(bad, {}, "other outcomes")
        lost = sum(load.outcomes()[outcome] for outcome in LOST)
        with check(f"at most {CLIENTS} POSTs are lost{how}, on connections that were being closed: "
                   f"{lost} were"):
            require(lost <= CLIENTS, f"more than {CLIENTS}")
        with check("the servers sent every response once"):
            right = load.outcomes()["right"]
            answered = report.answered + other.answered
            require(right <= answered <= total, f"{answered} responses sent, {right} received")
        if "--drain-delay" in flags:
            with check("during the drain delay, responses make the proxy close its connections"):
                require(report.accepted > 2 * CLIENTS, f"{report.accepted} connections")


class Load:
    """A number of requests, GET and POST in turn, from concurrent clients."""

    def __init__(self, proxy, total):
        self._results = []
        self._proxy = proxy
        self._total = total
        self._at = None
        self._lock = threading.Lock()

    def outcomes(self):
        """The count of each outcome."""
        return Counter(self._results)

    def so_far(self):
        """The number of finished requests."""
        return len(self._results)

    def at(self, count, event):
        """Calls `event` after `count` requests."""
        self._at = (count, event)

    def may_continue(self):
        """Whether a client sends another request; may block."""
        return True

    def run(self):
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._client, range(CLIENTS)))

    def _client(self, first):
        connection = self._proxy.connection()
        noise = random.Random(first).randbytes(20_000)
        for number in range(first, self._total, CLIENTS):
            if not self.may_continue():
                break
            method = "GET" if number % 2 else "POST"
            body = b"%d " % number + noise[:number * 37 % len(noise)]
            self._record(self.exchange(connection, method, body if method == "POST" else None))
        connection.close()

    def exchange(self, connection, method, body):
        """Sends a request, and returns its outcome."""
        try:
            connection.request(method, "/any", body)
            response = connection.getresponse()
        except ConnectionError:
            connection.close()
            return f"{method} unanswered"
        try:
            got = response.read()
        except (OSError, HTTPException) as error:
            connection.close()
            return f"{method} incomplete: {error!r}"
        if response.status != 200:
            return f"{method} {response.status}"
        return "right" if got == (body or PAGE) else f"{method} wrong"

    def _record(self, outcome):
        with self._lock:
            self._results.append(outcome)
            due = self._at is not None and len(self._results) == self._at[0]
        if due:
            self._at[1]()
