"""The scenarios, and one measurement of a scenario."""

from __future__ import annotations

import re
import resource
import select
import socket
import subprocess
import time
from dataclasses import dataclass

import h2load
import job
from servers import FILE, HERE, Running
from usage import accepted, machine, session, usage

MIB = 1024 * 1024


@dataclass(frozen=True)
class Scenario:
    name: str
    what: str
    connections: int
    # Arguments of load.lua.
    load: tuple[str, ...] = ("get",)
    # Options of wrk.
    options: tuple[str, ...] = ()
    # Flags of httpool.
    flags: tuple[str, ...] = ()
    # Idle connections that have had one response.
    idle: int = 0
    # Size of the requested file; 0 for none.
    file: int = 0
    scheme: str = "http"
    # Requests at once on each connection, with HTTP/2; 0 for HTTP/1.1.
    streams: int = 0
    # Connections a second, each with one request, with HTTP/2; 0 if connections are kept.
    rate: int = 0

    @property
    def posts(self) -> bool:
        return self.load[0] == "post"

    @property
    def is_http2(self) -> bool:
        return self.streams > 0

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    def url(self, port: int) -> str:
        return f"{self.scheme}://127.0.0.1:{port}/{FILE if self.file else ''}"


SCENARIOS = [
    Scenario("get64", "GET on 64 connections", 64),
    Scenario("get1", "GET on one connection", 1),
    Scenario("post1k", "POST of 1 KiB of JSON on 64 connections", 64, load=("post", "1024")),
    # The other servers do not validate JSON, which is much work here.
    Scenario(
        "post64k",
        "POST of 64 KiB on 32 connections",
        32,
        load=("post", "65536"),
        flags=("--echo-json", "raw"),
    ),
    Scenario("check64k", "as post64k, but httpool validates the JSON", 32, load=("post", "65536")),
    Scenario("pipeline16", "GET on 64 connections, 16 at a time", 64, load=("pipeline", "16")),
    Scenario(
        "close",
        "GET, each on a connection of its own, 64 at a time",
        64,
        options=("-H", "Connection: close"),
    ),
    Scenario("file1k", "GET of a file of 1 KiB on 64 connections", 64, file=1024),
    Scenario("file1m", "GET of a file of 1 MiB on 16 connections", 16, file=MIB),
    Scenario("file1g", "GET of a file of 1 GiB on 2 connections", 2, file=1024 * MIB),
    Scenario("tls1k", "as file1k over TLS", 64, file=1024, scheme="https"),
    Scenario("tls1m", "as file1m over TLS", 16, file=MIB, scheme="https"),
    Scenario("tls1g", "as file1g over TLS", 2, file=1024 * MIB, scheme="https"),
    Scenario("h2-get1", "GET on one HTTP/2 connection, one at a time", 1, streams=1),
    Scenario("h2-get100", "GET on one HTTP/2 connection, 100 at once", 1, streams=100),
    Scenario("h2-get64", "GET on 64 HTTP/2 connections, one at a time on each", 64, streams=1),
    Scenario("h2-get640", "GET on 64 HTTP/2 connections, 10 at once on each", 64, streams=10),
    Scenario(
        "h2-browser",
        "as h2-get640, with the 17 headers of a browser",
        64,
        options=h2load.BROWSER,
        streams=10,
    ),
    Scenario(
        "h2-literal",
        "as h2-browser, from a client that sends every header as text",
        64,
        options=(*h2load.BROWSER, *h2load.LITERAL),
        streams=10,
    ),
    Scenario(
        "h2-get64k",
        "GET of a file of 64 KiB on 8 HTTP/2 connections, 4 at once on each",
        8,
        options=h2load.LARGE_WINDOWS,
        file=64 * 1024,
        streams=4,
    ),
    Scenario(
        "h2-post1k",
        "POST of 1 KiB of JSON on 64 HTTP/2 connections, 10 at once on each",
        64,
        load=("post", "1024"),
        streams=10,
    ),
    Scenario(
        "h2-post64k",
        "POST of 64 KiB on 8 HTTP/2 connections, 4 at once on each",
        8,
        load=("post", "65536"),
        options=h2load.LARGE_WINDOWS,
        flags=("--echo-json", "raw"),
        streams=4,
    ),
    Scenario(
        "h2-idle5k",
        "GET on 16 HTTP/2 connections, one at a time, beside 5,000 idle ones",
        16,
        idle=5000,
        streams=1,
    ),
    Scenario("h2-tls640", "as h2-get640 over TLS", 64, scheme="https", streams=10),
    Scenario(
        "h2-handshake",
        "GET over TLS, each on an HTTP/2 connection of its own, 500 a second",
        1,
        scheme="https",
        streams=1,
        rate=500,
    ),
    Scenario("idle10k", "GET on 16 connections beside 10,000 idle ones", 16, idle=10_000),
]


@dataclass
class Measurement:
    """One server in one scenario in one round. Times are microseconds per request."""

    requests: int
    per_second: float
    user: float
    system: float
    # h2load does not report them.
    p50: int | None
    p99: int | None
    resident_kib: int
    # Processors used by other processes, and taken by the host, on average.
    foreign: float
    stolen: float
    notes: list[str]
    # Bytes of memory for each idle connection.
    per_idle: float | None = None

    @property
    def cpu(self) -> float:
        return self.user + self.system


class Failed(Exception):
    """The measurement failed."""


def measure(running: Running, scenario: Scenario, seconds: int, threads: int) -> Measurement:
    if not scenario.idle:
        return _load(running, scenario, seconds, threads)
    before = usage(running.leader).resident_kib
    request = h2load.GET if scenario.is_http2 else job.GET
    with Idle(running.port, scenario.idle, request) as idle:
        grown = usage(running.leader).resident_kib - before
        result = _load(running, scenario, seconds, threads)
        result.per_idle = grown * 1024 / scenario.idle
        closed = idle.closed()
    if closed:
        result.notes.append(f"{closed} idle connections closed")
    return result


def _load(running: Running, scenario: Scenario, seconds: int, threads: int) -> Measurement:
    connected = accepted()
    busy, stolen = machine()
    ours = _own_cpu()
    before = usage(running.leader)
    began = time.monotonic()
    figures = load(running.port, scenario, seconds, threads)
    took = time.monotonic() - began
    after = usage(running.leader)
    client = _own_cpu() - ours
    busy, stolen = (now - then for now, then in zip(machine(), (busy, stolen)))
    requests = figures["requests"]
    if not session(running.leader):
        raise Failed("the server has ended")
    if requests == 0:
        raise Failed("no response arrived")
    notes = [
        f"{name} errors: {figures[name]}"
        for name in ("connect", "read", "write", "status", "timeout")
        if figures.get(name)
    ]
    if scenario.name == "close" and accepted() - connected < 0.9 * requests:
        notes.append("does not close")
    user, system = after.since(before)
    return Measurement(
        requests=requests,
        per_second=requests / figures["duration"] * 1e6,
        user=user / requests * 1e6,
        system=system / requests * 1e6,
        p50=figures.get("p50"),
        p99=figures.get("p99"),
        resident_kib=after.resident_kib,
        foreign=max(0.0, busy - user - system - client) / took,
        stolen=stolen / took,
        notes=notes,
    )


def load(port: int, scenario: Scenario, seconds: int, threads: int) -> dict[str, int]:
    """Runs the load, and returns its results."""
    if scenario.is_http2:
        size = int(scenario.load[1]) if scenario.posts else 0
        if scenario.rate:
            how = h2load.at_rate(seconds, scenario.rate)
        else:
            how = h2load.for_seconds(seconds, scenario.connections, scenario.streams, threads)
        try:
            return h2load.run(scenario.url(port), [*scenario.options, *how], size, seconds)
        except h2load.Failed as problem:
            raise Failed(problem) from problem
    return _wrk(port, scenario, seconds, threads)


def _wrk(port: int, scenario: Scenario, seconds: int, threads: int) -> dict[str, int]:
    """The results are those of load.lua."""
    command = [
        "wrk",
        f"-t{min(threads, scenario.connections)}",
        f"-c{scenario.connections}",
        f"-d{seconds}s",
        "--timeout",
        "8s",
        "-s",
        str(HERE / "load.lua"),
        *scenario.options,
        scenario.url(port),
        "--",
        *scenario.load,
    ]
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds + 30,
        )
    except subprocess.TimeoutExpired:
        raise Failed("wrk did not end") from None
    line = re.search(r"^figures (.*)$", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not line:
        raise Failed(f"wrk failed: {done.stdout.strip()[-300:]}")
    return {name: int(value) for name, value in (pair.split("=") for pair in line[1].split())}


def _own_cpu() -> float:
    """Processor time of this process and its finished children, in seconds."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, kinds))


class Idle:
    """Connections that have had one response and stay open during `with`."""

    # Open requests while the connections are opened.
    AT_ONCE = 100
    # Seconds without a response, and in total.
    STALL = 3.0
    MOST = 30.0

    def __init__(self, port: int, count: int, request: bytes) -> None:
        self._port = port
        self._count = count
        self._request = request
        self._idle: list[socket.socket] = []
        self._pending: dict[int, socket.socket] = {}

    def __enter__(self) -> Idle:
        try:
            self._open()
        except (OSError, Failed) as error:
            count = len(self._idle)
            self.__exit__()
            raise Failed(
                f"{count} of {self._count} idle connections got a response: {error}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        for client in (*self._idle, *self._pending.values()):
            client.close()

    def closed(self) -> int:
        """The number of connections that the server has closed."""
        return sum(1 for client in self._idle if not _is_open(client))

    def _open(self) -> None:
        began = progress = time.monotonic()
        with select.epoll() as poll:
            while len(self._idle) < self._count:
                self._open_more(poll)
                now = time.monotonic()
                for descriptor, _ in poll.poll(0.2):
                    received = self._pending[descriptor].recv(4096)
                    if not received:
                        raise Failed("the server closed a connection")
                    # The page arrives in one part, but behind the settings of HTTP/2.
                    if job.PAGE not in received:
                        continue
                    poll.unregister(descriptor)
                    self._idle.append(self._pending.pop(descriptor))
                    progress = now
                if now - progress > self.STALL or now - began > self.MOST:
                    raise Failed("no further response arrived")

    def _open_more(self, poll: select.epoll) -> None:
        missing = self._count - len(self._idle)
        while len(self._pending) < min(self.AT_ONCE, missing):
            client = socket.create_connection(("127.0.0.1", self._port), job.TIMEOUT)
            self._pending[client.fileno()] = client
            poll.register(client, select.EPOLLIN)
            client.sendall(self._request)


def _is_open(client: socket.socket) -> bool:
    # With a timeout, recv would wait for it, whatever the flags.
    client.setblocking(False)
    try:
        return client.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
