"""Restarts and kills instances under load, and checks that clients do not notice."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from checks import expect, require, wait_for
from fleet import ADDRESSES, KEPT, Balancer, Clients, Fleet, Instance, may_filter
from httpool import Server
from proxy import CLIENTS, Load
from refusing import Refusing, by_goaway, by_reset

# Longer than HAProxy takes to detect that a server is not ready (see haproxy.cfg).
DELAY = "1s"

# Longer than a proxy takes from a connection to its first request, on a busy machine.
IDLE = "1s"

# Requests before and after each event, so that it happens under load.
SOME = 500


@dataclass
class Stage:
    """The proxy and the program of a run."""

    kind: str
    program: Path
    scratch: str
    # Whether the proxy speaks HTTP/2 to the servers.
    http2: bool = False

    def fleet(self, *flags):
        return Fleet(self.program, self.scratch, *self._flags(), *flags)

    def _flags(self):
        return ("--http2", "on") if self.http2 else ()

    @contextmanager
    def instance(self, name, fleet):
        """A server of a fleet whose other servers are not httpool."""
        run = partial(Server, self.program, self.scratch)
        instance = Instance(run, name, fleet.port, fleet.admin_port, self._flags())
        try:
            yield instance
        finally:
            instance.server.end()

    def proxy(self, fleet):
        return Balancer(self.kind, fleet,
                        protocol="proto h2 check-proto h1" if self.http2 else "")


@dataclass
class Restart:
    """How an instance was restarted, in seconds from SIGTERM and from its next start."""

    name: str
    # nginx has no health checks.
    seen_down: float | None
    # From its log.
    drained: str
    back: float

    def __str__(self):
        seen = f"seen down after {self.seen_down:.2f} s, " if self.seen_down else ""
        return f"{self.name}: {seen}{self.drained}, back {self.back:.2f} s after its start"


def run(check, stage):
    rolling_restart(check, stage)
    no_delay(check, stage)
    killed(check, stage)
    if stage.http2:
        refused(check, stage, "above the last stream of its GOAWAY", by_goaway)
        refused(check, stage, "that it resets with REFUSED_STREAM", by_reset)
    else:
        # HTTP/2 has no connection for each request, so unread requests can't be counted.
        killed_with_requests(check, stage)


def rolling_restart(check, stage):
    load, answered = restart_all(check, stage, "--drain-delay", DELAY, "--drain-idle", IDLE)
    total, right = load.so_far(), load.outcomes()["right"]
    if stage.kind == "haproxy" or may_filter():
        with check(f"rolling restart: of {total} requests, GET and POST, none fails"):
            expect(dict(load.outcomes()), {"right": total}, "the outcomes")
    else:
        with check(f"rolling restart: of {total} requests, no GET fails, and a POST only if its "
                   f"connection is reset by a closing listener, as this user may not filter: "
                   f"{total - right} did"):
            only_posts(load)
            require(total - right <= 3 * CLIENTS, f"more than {CLIENTS} for each of three restarts")
    with check(f"rolling restart: clients got {right} correct responses, "
               f"and servers sent {answered}"):
        expect(answered, right, "requests answered")


def no_delay(check, stage):
    load, _ = restart_all(check, stage)
    failed = failures(load)
    if stage.http2 and may_filter():
        with check(f"without a drain delay: of {load.so_far()} requests, none fails"):
            expect(dict(load.outcomes()), {"right": load.so_far()}, "the outcomes")
        return
    with check(f"without a drain delay: of {load.so_far()} requests, no GET fails, and at most one "
               f"POST for each idle connection: {failed} did"):
        only_posts(load)
        require(failed <= 3 * KEPT, f"more than {KEPT} for each of three servers")


def restart_all(check, stage, *flags):
    """Restarts the instances in turn under load. Returns the load and the number of responses."""
    answered = 0
    with stage.fleet(*flags) as fleet, stage.proxy(fleet) as proxy:
        with Clients(proxy) as load:
            load.wait_for_more(SOME)
            for instance in fleet:
                leaving = instance.server
                log(restart(proxy, instance))
                answered += leaving.report.answered
                with check(f"{instance.name} exited with code 0 and aborted nothing"):
                    leaving.expect_clean_end()
                load.wait_for_more(SOME)
        if stage.kind == "haproxy":
            log(f"HAProxy retried {proxy.retries()} times")
        log(f"the slowest response took {load.slowest:.2f} s")
        answered += sum(instance.server.stop().answered for instance in fleet)
    return load, answered


def restart(proxy, instance):
    """Stops a server, starts the next one, and waits until the proxy uses it."""
    leaving = instance.server
    begun = time.monotonic()
    leaving.terminate()
    seen_down = None
    if proxy.kind == "haproxy":
        wait_for("HAProxy marks the server as down", lambda: proxy.state_of(instance) == "DOWN")
        seen_down = time.monotonic() - begun
    leaving.wait_for_end()
    begun = time.monotonic()
    instance.start()
    wait_until_back(proxy, instance)
    back = time.monotonic() - begun
    drained = leaving.log[-1].rpartition("complete in ")[2].partition(":")[0]
    return Restart(instance.name, seen_down, f"drained in {drained}", back)


def wait_until_back(proxy, instance):
    """Waits until the proxy sends it requests, so that another one can be stopped."""
    if proxy.kind == "haproxy":
        wait_for("HAProxy marks the server as up", lambda: proxy.state_of(instance) == "UP")
    wait_for("a request from the proxy", lambda: instance.answered() > 0)


def killed(check, stage):
    with stage.fleet() as fleet, stage.proxy(fleet) as proxy:
        victim = fleet["two"]
        with Clients(proxy) as load:
            load.wait_for_more(SOME)
            victim.server.end()
            load.wait_for_more(SOME)
            with Clients(proxy) as later:
                later.wait_for_more(SOME)
        failed = failures(load)
        with check(f"SIGKILL: no GET fails, and at most one POST for each connection: {failed} "
                   f"did"):
            only_posts(load)
            require(failed <= CLIENTS + KEPT,
                    f"more than {CLIENTS} busy and {KEPT} idle connections")
        with check(f"SIGKILL: two servers respond to the next {later.so_far()} requests"):
            expect(dict(later.outcomes()), {"right": later.so_far()}, "the outcomes")
        with Clients(proxy) as load:
            victim.start()
            wait_until_back(proxy, victim)
            load.wait_for_more(SOME)
        with check("SIGKILL: the next server gets requests again, and none fails"):
            expect(dict(load.outcomes()), {"right": load.so_far()}, "the outcomes")


def killed_with_requests(check, stage):
    """Stops the server with SIGSTOP before it is killed, so that its unread requests are known."""
    with stage.fleet() as fleet, stage.proxy(fleet) as proxy:
        victim = fleet["two"]
        others = [instance for instance in fleet if instance is not victim]
        with Clients(proxy) as load:
            load.wait_for_more(SOME)
            load.pause()
            load.wait_until_idle()
            wait_for("the servers' response counts match",
                     lambda: sum(instance.answered() for instance in fleet) == load.so_far())
            answered = victim.answered()
            if stage.kind == "haproxy":
                # Otherwise HAProxy would mark the server as down and send it no more requests.
                proxy.command("disable health fleet/two")
            victim.server.send(signal.SIGSTOP)
            wait_for("every thread is stopped", victim.server.is_frozen)
            load.resume()
            wait_for("a request of every client at the frozen server",
                     lambda: victim.unread() == CLIENTS)
            load.pause()
            victim.server.end()
            load.wait_until_idle()
            failed = failures(load)
            load.resume()
            load.wait_for_more(SOME)
        answered += sum(instance.server.stop().answered for instance in others)
        posts, gets = CLIENTS // 2, CLIENTS - CLIENTS // 2
        with check(f"SIGKILL with {gets} GETs and {posts} POSTs unread: these POSTs fail, "
                   f"other servers respond to these GETs and to all later requests"):
            only_posts(load)
            expect((failed, failures(load)), (posts, posts), "failed requests, then and later")
        right = load.outcomes()["right"]
        with check(f"SIGKILL: clients got {right} correct responses, and servers sent "
                   f"{answered}: no request was handled twice, or handled and failed"):
            expect(answered, right, "requests answered")


def refused(check, stage, which, refuse):
    """What HAProxy does with requests that a server has not handled, and says so."""
    with Refusing(ADDRESSES["one"]) as leaving:
        with stage.instance("two", leaving) as other, stage.proxy(leaving) as proxy:
            proxy.use_only("one")
            load = Load(proxy, 0)
            expect(load.exchange(proxy.connection(), "GET", None), "right", "the first response")
            leaving.collect()
            with ThreadPoolExecutor(CLIENTS) as pool:
                sent = []
                for method in ("GET", "POST") * 4:
                    body = b"%d" % len(sent) if method == "POST" else None
                    sent.append(pool.submit(load.exchange, proxy.connection(), method, body))
                    leaving.wait_for_collected(len(sent))
                proxy.use_only("one", "two")
                leaving.end(len(sent) // 2, refuse)
            outcomes = [request.result() for request in sent]
            with check(f"a server does not handle requests {which}: another one responds to the "
                       f"GETs, the POSTs fail"):
                expect(outcomes, ["right"] * 4 + ["right", "POST 502"] * 2, "the outcomes")
                expect(other.answered(), 2, "requests answered by the other server")


def failures(load):
    outcomes = load.outcomes()
    return sum(outcomes.values()) - outcomes["right"]


def only_posts(load):
    """Expects that only POSTs failed, and that no response was wrong."""
    bad = {outcome: count for outcome, count in load.outcomes().items()
           if outcome.startswith("GET") or outcome.endswith("wrong")}
    expect(bad, {}, "what else became of them")


def log(what):
    print(f"          {what}", flush=True)
