"""nginx and HAProxy in front of the server, seen by a client that talks to them."""

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

from checks import PATIENCE, expect, expect_in, require
from http_client import Connection, UnixConnection, expecting
from httpool import MAX_BODY, METHODS, PAGE

HERE = Path(__file__).resolve().parent

# Clients that ask at the same time. The proxies keep at least as many connections upstream.
CLIENTS = 8

# What becomes of a POST whose connection upstream is closed as it comes, and which can't be tried
# again: nginx answers, HAProxy leaves that to the client and closes its connection.
LOST = ("POST 502", "POST unanswered")


# Where the proxies listen for clients that have addresses, and what those are.
FRONT = "127.0.90.1"
SOURCES = ("127.0.90.2", "127.0.90.3")


class Proxy:
    """A running proxy that listens on a Unix socket, and on a port."""

    # Where its configuration is.
    directory = HERE

    def __init__(self, kind, *servers, watched=False):
        self.kind = kind
        self._directory = tempfile.TemporaryDirectory(prefix="httpool-proxy-")
        home = Path(self._directory.name)
        self.front = home / "front.sock"
        self.admin = home / "admin.sock"
        self.port = _free_port()
        self._said = home / "said"
        self._watched = watched
        start = {"nginx": self._nginx, "haproxy": self._haproxy}[kind]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(start(home, servers), cwd=home, stderr=said,
                                             stdin=subprocess.DEVNULL, stdout=said)
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # nginx ends its workers on SIGTERM; killed, it would leave them behind.
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._directory.cleanup()

    def connection(self):
        return UnixConnection(self.front)

    def connection_from(self, source):
        """One of a client with this address."""
        return Connection(self.port, FRONT, (source, 0))

    def values(self, *servers):
        """What stands in the configuration in place of which name."""
        if self.kind == "nginx":
            return {"SERVERS": "\n".join(f"server 127.0.0.1:{server.port};" for server in servers),
                    "SOCKET": servers[0].socket}
        lines = [f"server s{number} 127.0.0.1:{server.port}"
                 for number, server in enumerate(servers)]
        return {"SERVERS": "\n".join(lines),
                "PROXIED": servers[0].proxied_port,
                "WATCHED": f"{lines[0]} check inter 100ms" if self._watched else ""}

    def command(self, text):
        """What HAProxy says to a command."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(PATIENCE)
            admin.connect(str(self.admin))
            admin.sendall(f"{text}\n".encode())
            return admin.makefile().read()

    def statistics(self, backend, server):
        """What HAProxy knows of a server, by the names of its columns."""
        table = self.command("show stat").splitlines()
        names = table[0].removeprefix("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in table[1:] if line]
        [row] = [row for row in rows if (row["pxname"], row["svname"]) == (backend, server)]
        return row

    def _nginx(self, home, servers):
        (home / "temporary").mkdir()
        config = self._configure(home, "nginx.conf", servers)
        # Started by root, its workers would be someone else, who can't enter this directory.
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
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.connection().connect()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"{self.kind} does not listen: {self._said.read_text()}")


def run(check, stage):
    kind = stage.family
    with stage.server() as server:
        with Proxy(kind, server, watched=True) as proxy:
            both_ways(check, proxy)
            too_large(check, proxy)
            with check("the server ends clean while the proxy keeps connections to it"):
                server.expect_clean_end()
    few_connections(check, stage, kind)
    idle(check, stage, kind)
    origins(check, stage, kind)
    drain(check, stage, kind)
    drain(check, stage, kind, "--drain-delay", "250ms")
    # With no time for what is on its way, so that something is.
    drain(check, stage, kind, "--drain-idle", "0ms")


def both_ways(check, proxy):
    # Where the proxy does what; HAProxy knows no places and passes on all as it comes.
    places = {"nginx": ["/", "/streamed/", "/plain/", "/unix/"], "haproxy": ["/"]}[proxy.kind]
    for place in places:
        connection = proxy.connection()
        with check(f"{place}: GET, HEAD, OPTIONS and DELETE come through"):
            answer = connection.ask("GET", place)
            expect((answer.status, answer.body), (200, PAGE), "the answer to GET")
            answer = connection.ask("HEAD", place)
            expect((answer.status, answer.getheader("Content-Length"), answer.body),
                   (200, str(len(PAGE)), b""), "the answer to HEAD")
            for method, status in [("OPTIONS", 204), ("DELETE", 405)]:
                answer = connection.ask(method, place)
                expect((answer.status, answer.getheader("Allow")), (status, METHODS), method)
        for size in (0, 1, 70_000, MAX_BODY):
            with check(f"{place}: {size} bytes come back, with their length and chunked"):
                body = os.urandom(size)
                answer = connection.ask("POST", place, body)
                expect((answer.status, answer.body), (200, body), "the answer")
                pieces = [body[at:at + 30_000] for at in range(0, size, 30_000)]
                answer = connection.ask("POST", place, iter(pieces), encode_chunked=True)
                expect((answer.status, answer.body), (200, body), "the answer to chunks")
        with check(f"{place}: a client that expects `100 Continue` gets it, then the answer"):
            for _ in range(3):
                expecting(connection, 5, place)
                expect_in(b" 100 Continue\r\n", connection.sock.recv(1024), "what came")
                connection.send(b"hello")
                expect(connection.answer().body, b"hello", "the body")
        with check(f"{place}: a mistake in JSON gets its 400"):
            answer = connection.ask("POST", place, b"[1,]", {"Content-Type": "application/json"})
            expect(answer.status, 400, "the status")
            expect_in(b"line 1 column 4", answer.body, "the body")
        with check(f"{place}: the client's connection to the proxy was one all the time"):
            expect(connection.opened, 1, "connections opened")
        connection.close()
    if proxy.kind == "haproxy":
        with check("HAProxy's health check finds the server up"):
            expect(health(proxy), "L7OK 204", "the state of the check")


def health(proxy):
    """What HAProxy's last health check saw, once there was one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        row = proxy.statistics("watched", "s0")
        if row["check_status"] not in ("", "INI") or time.monotonic() > deadline:
            return f"{row['check_status']} {row['check_code']}"
        time.sleep(0.02)


def too_large(check, proxy):
    streamed = {"nginx": "/streamed/", "haproxy": "/"}[proxy.kind]
    for place in sorted({streamed, "/"}):
        with check(f"{place}: a body over the limit gets the server's 413"):
            connection = proxy.connection()
            answer = connection.ask("POST", place, os.urandom(11 * 1024 * 1024))
            expect(answer.status, 413, "the status")
            expect_in(b"the request body is too large", answer.body, "the body")
            connection.close()
    with check(f"{streamed}: and gets it before it has ended, so it is passed on while it comes"):
        connection = proxy.connection()
        connection.putrequest("POST", streamed)
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        for _ in range(11):
            connection.send(b"100000\r\n" + bytes(1024 * 1024) + b"\r\n")
        answer = connection.answer()
        expect(answer.status, 413, "the status")
        expect_in(b"the request body is too large", answer.body, "the body")
        connection.close()
    if proxy.kind == "haproxy":
        with check("and a client that asks first is told so by the server, without an interim 100"):
            connection = proxy.connection()
            expecting(connection, MAX_BODY + 1)
            expect_in(b"HTTP/1.1 413 ", connection.sock.recv(1024), "what came")
            connection.close()


def few_connections(check, stage, kind):
    total = 800
    with stage.server() as server, Proxy(kind, server) as proxy:
        with check(f"{total} requests of {CLIENTS} clients at once get their own answers"):
            load = Load(proxy, total)
            load.run()
            expect(dict(load.outcomes()), {"right": total}, "what they got")
        with check(f"they went over at most {CLIENTS} connections in the server's count"):
            report = server.expect_clean_end()
            expect(report.answered, total, "requests answered")
            require(0 < report.accepted <= CLIENTS, f"there were {report.accepted}")
    with stage.server() as server, Proxy(kind, server) as proxy:
        with check("100 clients, one after another, share one connection in the server's count"):
            for number in range(100):
                connection = proxy.connection()
                expect(connection.ask("POST", body=b"%d" % number).body, b"%d" % number, "the body")
                connection.close()
            report = server.expect_clean_end()
            expect((report.accepted, report.answered), (1, 100), "connections and requests")


def idle(check, stage, kind):
    with stage.server("--idle-timeout", "200ms") as server, Proxy(kind, server) as proxy:
        with check("the proxy notices that an idle connection was closed, and takes another"):
            connection = proxy.connection()
            for number in range(3):
                body = b"%d" % number
                answer = connection.ask("POST", body=body)
                expect((answer.status, answer.body), (200, body), "the answer")
                server.wait_until_unconnected()
            connection.close()
            report = server.expect_clean_end()
            expect((report.accepted, report.answered), (3, 3), "connections and requests")


def origins(check, stage, kind):
    """Whom the server takes for the client, whatever that client says of itself."""
    trusting = ("--listen-proxy-protocol", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1",
                "--trusted-proxy", "unix")
    for field in ("x-forwarded", "x-forwarded-for", "forwarded"):
        with stage.server(*trusting, "--forwarded-by", field) as server:
            with Proxy(kind, server) as proxy:
                # What a proxy does not say is not known.
                scheme = None if field == "x-forwarded-for" else "http"
                places = {"nginx": ["/fields/", "/unix/fields/"], "haproxy": ["/fields/"]}[kind]
                for place in places:
                    origin(check, proxy, place, scheme, f" with {field}")
                if kind == "haproxy" and field == "x-forwarded":
                    origin(check, proxy, "/v1/", None, " with version 1 of the PROXY protocol")
                    origin(check, proxy, "/v2/", "http", " with version 2 of it")
            server.expect_clean_end()
    with stage.server() as server, Proxy(kind, server) as proxy:
        with check("a server that trusts nobody takes the proxy for the client"):
            connection = proxy.connection_from(SOURCES[0])
            block = json.loads(connection.ask("GET", "/fields/?origin").body)
            expect((block.get("proxy"), block["client"]), (None, block["peer"]), "the origin")
            connection.close()


def origin(check, proxy, place, scheme, how):
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https",
            "Forwarded": "for=203.0.113.9;proto=https"}
    with check(f"{place}: two clients in turns are told by their addresses{how}, and their lies "
               "are not believed"):
        connections = [proxy.connection_from(source) for source in SOURCES]
        for fields in ({}, lies, {}, lies):
            for source, connection in zip(SOURCES, connections):
                answer = connection.ask("GET", f"{place}?origin", fields=fields)
                block = json.loads(answer.body)
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
    """One of two servers is told to stop in the middle of a load."""
    total = 2000
    how = f" with {' '.join(flags)}" if flags else ""
    with stage.server(*flags) as leaving, stage.server() as staying:
        with Proxy(kind, leaving, staying) as proxy:
            load = Load(proxy, total)
            load.at(total // 4, leaving.terminate)
            load.run()
            report, other = leaving.wait_for_end(), staying.stop()
        with check(f"a server that stops under load{how} ends clean"):
            leaving.expect_clean_end()
            require(report.answered > 0 and other.answered > total // 4,
                    f"not both have worked: {report}, {other}")
        with check(f"of {total} requests, no GET fails, and no answer is wrong or cut"):
            bad = {outcome: count for outcome, count in load.outcomes().items()
                   if outcome not in ("right", *LOST)}
            expect(bad, {}, "what else they got")
        lost = sum(load.outcomes()[outcome] for outcome in LOST)
        with check(f"at most {CLIENTS} POSTs are lost{how}, on connections that were being closed: "
                   f"{lost} were"):
            require(lost <= CLIENTS, f"these are more than {CLIENTS}")
        with check("the servers answered what the clients got, and nothing twice"):
            right = load.outcomes()["right"]
            answered = report.answered + other.answered
            require(right <= answered <= total, f"{answered} were answered, {right} got it")
        if "--drain-delay" in flags:
            with check("while it still accepts, its answers make the proxy close its connections"):
                require(report.accepted > 2 * CLIENTS, f"there were {report.accepted} connections")


class Load:
    """A bounded number of requests, GET and POST by turns, from a few clients at once."""

    def __init__(self, proxy, total):
        self._results = []
        self._proxy = proxy
        self._total = total
        self._at = None
        self._lock = threading.Lock()

    def outcomes(self):
        """What became of how many."""
        return Counter(self._results)

    def so_far(self):
        """How many requests that are."""
        return len(self._results)

    def at(self, count, event):
        """Does this when so many requests have been answered."""
        self._at = (count, event)

    def goes_on(self):
        """Whether a client is to ask once more; it may be made to wait for the answer."""
        return True

    def run(self):
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._client, range(CLIENTS)))

    def _client(self, first):
        connection = self._proxy.connection()
        noise = random.Random(first).randbytes(20_000)
        for number in range(first, self._total, CLIENTS):
            if not self.goes_on():
                break
            method = "GET" if number % 2 else "POST"
            body = b"%d " % number + noise[:number * 37 % len(noise)]
            self._tell(self.ask(connection, method, body if method == "POST" else None))
        connection.close()

    def ask(self, connection, method, body):
        """What becomes of a request."""
        try:
            connection.request(method, "/any", body)
            answer = connection.getresponse()
        except ConnectionError:
            connection.close()
            return f"{method} unanswered"
        try:
            got = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            return f"{method} cut: {error!r}"
        if answer.status != 200:
            return f"{method} {answer.status}"
        return "right" if got == (body or PAGE) else f"{method} wrong"

    def _tell(self, outcome):
        with self._lock:
            self._results.append(outcome)
            due = self._at is not None and len(self._results) == self._at[0]
        if due:
            self._at[1]()
