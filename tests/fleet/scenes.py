"""What happens to a fleet under load, and what its clients must not notice of it."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

from checks import expect, require, wait_for
from fleet import KEPT, Balancer, Clients, Fleet, may_filter
from proxy import CLIENTS

# Longer than HAProxy takes to see that a server is not ready, which haproxy.cfg decides.
DELAY = "1s"

# Longer than a proxy takes between a connection and its first request, on a busy machine.
IDLE = "1s"

# Requests before and after something happens, so that it happens under load.
SOME = 500


@dataclass
class Stage:
    """What stands in front of which program."""

    kind: str
    program: Path
    scratch: str

    def fleet(self, *flags):
        return Fleet(self.program, self.scratch, *flags)


@dataclass
class Restart:
    """How an instance was restarted, with the seconds from its SIGTERM and from its next start."""

    name: str
    # nginx does not look, and tells nobody.
    turned_away: float | None
    # What it says itself.
    drained: str
    back: float

    def __str__(self):
        seen = f"seen down after {self.turned_away:.2f} s, " if self.turned_away else ""
        return f"{self.name}: {seen}{self.drained}, back {self.back:.2f} s after its start"


def run(check, stage):
    rolling_restart(check, stage)
    no_delay(check, stage)
    killed(check, stage)
    killed_with_requests(check, stage)


def rolling_restart(check, stage):
    load, answered = restart_all(check, stage, "--drain-delay", DELAY, "--drain-idle", IDLE)
    total, right = load.so_far(), load.outcomes()["right"]
    if stage.kind == "haproxy" or may_filter():
        with check(f"rolling restart: of {total} requests, GET and POST, none fails"):
            expect(dict(load.outcomes()), {"right": total}, "what became of them")
    else:
        with check(f"rolling restart: of {total} requests, no GET fails, and a POST only if its "
                   f"connection is reset by a closing port, as this user may not filter: "
                   f"{total - right} did"):
            only_posts(load)
            require(total - right <= 3 * CLIENTS, f"{CLIENTS} clients came at most, three times")
    with check(f"rolling restart: {right} requests were answered right, and {answered} by servers"):
        expect(answered, right, "requests answered")


def no_delay(check, stage):
    load, _ = restart_all(check, stage)
    failed = failures(load)
    with check(f"without a drain delay: of {load.so_far()} requests, no GET fails, and at most one "
               f"POST for each idle connection: {failed} did"):
        only_posts(load)
        require(failed <= 3 * KEPT, f"no more than {KEPT} are kept to each of three servers")


def restart_all(check, stage, *flags):
    """Restarts one instance after the other under load: the load, and how many were answered."""
    answered = 0
    with stage.fleet(*flags) as fleet, Balancer(stage.kind, fleet) as proxy:
        with Clients(proxy) as load:
            load.wait_for_more(SOME)
            for instance in fleet:
                leaving = instance.server
                tell(restart(proxy, instance))
                answered += leaving.report.answered
                with check(f"{instance.name} has ended with exit code 0 and cut nothing"):
                    leaving.expect_clean_end()
                load.wait_for_more(SOME)
        if stage.kind == "haproxy":
            tell(f"HAProxy tried again {proxy.retries()} times")
        tell(f"the slowest answer took {load.slowest:.2f} s")
        answered += sum(instance.server.stop().answered for instance in fleet)
    return load, answered


def restart(proxy, instance):
    """Ends a server, starts the next one, and returns when the proxy has noticed."""
    leaving = instance.server
    begun = time.monotonic()
    leaving.terminate()
    turned_away = None
    if proxy.kind == "haproxy":
        wait_for("an end, as HAProxy sees it", lambda: proxy.sees(instance) == "DOWN")
        turned_away = time.monotonic() - begun
    leaving.wait_for_end()
    begun = time.monotonic()
    instance.start()
    wait_until_back(proxy, instance)
    back = time.monotonic() - begun
    drained = leaving.log[-1].rpartition("complete in ")[2].partition(":")[0]
    return Restart(instance.name, turned_away, f"drained in {drained}", back)


def wait_until_back(proxy, instance):
    """Until the proxy gives it requests, so that it is safe to end another one."""
    if proxy.kind == "haproxy":
        wait_for("a server, as HAProxy sees it", lambda: proxy.sees(instance) == "UP")
    wait_for("a request from the proxy", lambda: instance.answered() > 0)


def killed(check, stage):
    with stage.fleet() as fleet, Balancer(stage.kind, fleet) as proxy:
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
                    f"{CLIENTS} connections were in use at most, and {KEPT} idle")
        with check(f"SIGKILL: two servers answer the next {later.so_far()} requests"):
            expect(dict(later.outcomes()), {"right": later.so_far()}, "what became of them")
        with Clients(proxy) as load:
            victim.start()
            wait_until_back(proxy, victim)
            load.wait_for_more(SOME)
        with check("SIGKILL: the next server gets requests again, and none fails"):
            expect(dict(load.outcomes()), {"right": load.so_far()}, "what became of them")


def killed_with_requests(check, stage):
    """It is frozen first, so that what it has when it is killed is known."""
    with stage.fleet() as fleet, Balancer(stage.kind, fleet) as proxy:
        victim = fleet["two"]
        others = [instance for instance in fleet if instance is not victim]
        with Clients(proxy) as load:
            load.wait_for_more(SOME)
            load.hold()
            load.wait_until_still()
            wait_for("the servers' counts",
                     lambda: sum(instance.answered() for instance in fleet) == load.so_far())
            answered = victim.answered()
            if stage.kind == "haproxy":
                # It would see that the server does not answer, and give it no more requests.
                proxy.command("disable health fleet/two")
            victim.server.send(signal.SIGSTOP)
            wait_for("the stop of every thread", victim.server.is_frozen)
            load.resume()
            wait_for("a request of every client at the frozen server",
                     lambda: victim.unread() == CLIENTS)
            load.hold()
            victim.server.end()
            load.wait_until_still()
            failed = failures(load)
            load.resume()
            load.wait_for_more(SOME)
        answered += sum(instance.server.stop().answered for instance in others)
        posts, gets = CLIENTS // 2, CLIENTS - CLIENTS // 2
        with check(f"SIGKILL with {gets} GETs and {posts} POSTs unread: these POSTs fail, these "
                   f"GETs are answered by others, and so is what comes then"):
            only_posts(load)
            expect((failed, failures(load)), (posts, posts), "requests failed, then and to the end")
        right = load.outcomes()["right"]
        with check(f"SIGKILL: {right} requests were answered right, and servers answered "
                   f"{answered}: none was done twice, or done and failed"):
            expect(answered, right, "requests answered")


def failures(load):
    outcomes = load.outcomes()
    return sum(outcomes.values()) - outcomes["right"]


def only_posts(load):
    """Nothing but POSTs failed, and no answer was a wrong one."""
    bad = {outcome: count for outcome, count in load.outcomes().items()
           if outcome.startswith("GET") or outcome.endswith("wrong")}
    expect(bad, {}, "what else became of them")


def tell(what):
    print(f"          {what}", flush=True)
