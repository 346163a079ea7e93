#!/usr/bin/env python3
"""Compares httpool with other servers: processor time per request, as a ratio to the floor.

Every server does the same job in the same scenarios, on the loopback interface, under the same
load. README.md in this directory describes how and why. It needs Python's standard library, wrk
and Cargo, and h2load and curl for HTTP/2.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import job
import report
import syscalls
import tails
from scenarios import MIB, SCENARIOS, Failed, Measurement, Scenario, measure
from servers import (
    FILE,
    FLOOR,
    OURS,
    SERVERS,
    Missing,
    Running,
    Server,
    Setting,
    certificate,
    free_port,
    target,
)

# Descriptors that a server or client needs beside those of its idle connections.
SPARE_FILES = 500


def main() -> int:
    options = _options()
    for tool in ("cargo", "strace") if options.syscalls else ("cargo",):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed, but required")
    # As after Ctrl-C, started processes are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    bench = Bench(options)
    try:
        bench.prepare()
        if options.tail:
            text = bench.tails()
        else:
            text = bench.system_calls() if options.syscalls else bench.compare()
    finally:
        bench.clean_up()
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    servers = [server.name for server in SERVERS]
    scenarios = [scenario.name for scenario in SCENARIOS]
    parser.add_argument(
        "--only",
        type=_some_of(servers),
        metavar="A,B",
        help=f"only these servers, and the floor: {', '.join(servers)}",
    )
    parser.add_argument(
        "--scenario",
        type=_some_of(scenarios),
        metavar="A,B",
        help=f"only these scenarios, h2-* for all of HTTP/2: {', '.join(scenarios)}",
    )
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (3)")
    parser.add_argument("--seconds", type=int, default=3, help="load for each turn (3)")
    parser.add_argument(
        "--pin", action="store_true", help="pin the server to one processor, the load to another"
    )
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of the non-blocking servers (one for each processor)",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="workers of httpool (its default)")
    parser.add_argument(
        "--syscalls",
        action="store_true",
        help="count system calls instead, in get64 unless a scenario is given",
    )
    parser.add_argument(
        "--tail",
        type=int,
        metavar="RATE",
        help="measure the time of GET at this fixed rate instead, on 64 connections",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to a file")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to a file")
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds must be at least 1")
    return options


def _some_of(known: list[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = []
        for pattern in text.split(","):
            matching = fnmatch.filter(known, pattern)
            if not matching:
                raise argparse.ArgumentTypeError(f"{pattern} is not one of {', '.join(known)}")
            found += matching
        return found

    return names


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.folder = Path(tempfile.mkdtemp(prefix="httpool-compare-"))
        self.server_cpu: int | None = None
        self.load_cpu: int | None = None
        self.load_threads = 2
        self.threads = options.threads or len(os.sched_getaffinity(0))
        # The programs of the available servers.
        self.programs: dict[str, Path] = {}
        self.servers: list[Server] = []
        self.scenarios: list[Scenario] = []

    def prepare(self) -> None:
        if self.options.pin:
            self._pin()
        self._choose_scenarios()
        # Served files are usually older than the first request, and a server may do more for a file
        # that has not changed for seconds. Checking the servers takes longer than that.
        for scenario in self.scenarios:
            if scenario.file:
                self._root(scenario.file)
        self._choose_servers()
        if self.load_cpu is not None:
            # wrk inherits it. The builds before used all processors.
            os.sched_setaffinity(0, {self.load_cpu})

    def clean_up(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def compare(self) -> str:
        """Measures everything in turns."""
        results: report.Results = {}
        names = [server.name for server in self.servers]
        for scenario in self.scenarios:
            of_scenario = results[scenario.name] = {name: [] for name in names}
            for number in range(self.options.rounds):
                # Alternating order, so that no server is always first.
                for server in self.servers[:: -1 if number % 2 else 1]:
                    outcome = self._measure(server, scenario)
                    of_scenario[server.name].append(outcome)
                    text = outcome
                    if isinstance(outcome, Measurement):
                        text = f"{outcome.cpu:.2f} µs/request, {outcome.per_second:,.0f} requests/s"
                    say(f"{scenario.name} {number + 1}/{self.options.rounds} {server.name}: {text}")
            # Written now, in case the comparison is interrupted.
            self._write_json(results)
        parts = [report.overview(results, names, self.scenarios), self._circumstances()]
        if {OURS, FLOOR} < set(names) and self.options.rounds > 1:
            parts.append(
                "Ratios of the same round, and in how many rounds httpool was cheaper:\n\n"
                + report.beside(results, names, self.scenarios)
            )
        for scenario in self.scenarios:
            table = report.details(results, names, scenario)
            parts.append(f"### {scenario.name}: {scenario.what}\n\n{table}")
        return "\n".join(parts)

    def system_calls(self) -> str:
        parts = []
        for scenario in self.scenarios:
            counts = {}
            for server in self.servers:
                if self._unable(server, scenario):
                    continue
                try:
                    with self._run(server, scenario) as running:
                        if not scenario.is_http2:
                            job.warm_up(running.port)
                        counts[server.name] = syscalls.count(
                            running, scenario, self.options.seconds, self.load_threads, self.folder
                        )
                except (Failed, Missing, job.Broken) as problem:
                    say(f"{server.name} is left out: {problem}")
            parts.append(f"### {scenario.name}\n\n{report.system_calls(counts)}")
        return "\n".join([*parts, self._circumstances()])

    def tails(self) -> str:
        load = tails.build()
        servers = [server for server in self.servers if server.http1]
        found: dict[str, list[tails.Tail]] = {server.name: [] for server in servers}
        for number in range(self.options.rounds):
            for server in servers[:: -1 if number % 2 else 1]:
                try:
                    with self._run(server) as running:
                        job.warm_up(running.port)
                        rate, seconds = self.options.tail, self.options.seconds
                        tail = tails.measure(load, running, rate, seconds)
                except (Failed, Missing, job.Broken) as problem:
                    say(f"{server.name}: {problem}")
                else:
                    found[server.name].append(tail)
                    say(f"tail {number + 1}/{self.options.rounds} {server.name}: {tail}")
        return f"{report.tails(found)}\n{self._circumstances()}"

    def _pin(self) -> None:
        processors = sorted(os.sched_getaffinity(0))
        if len(processors) < 2:
            sys.exit("--pin needs two processors")
        self.server_cpu, self.load_cpu = processors[:2]
        self.load_threads = 1
        self.threads = self.options.threads or 1

    def _choose_scenarios(self) -> None:
        wanted = self.options.scenario or (["get64"] if self.options.syscalls else None)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Servers inherit the limit.
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        for scenario in SCENARIOS:
            if wanted and scenario.name not in wanted:
                continue
            tools = ("h2load", "curl") if scenario.is_http2 else ("wrk",)
            missing = [tool for tool in tools if not shutil.which(tool)]
            if missing:
                say(f"{scenario.name} is left out: {missing[0]} is not installed")
            elif scenario.idle + SPARE_FILES > most:
                say(
                    f"{scenario.name} is left out: the limit of open files is {most} (ulimit -n)"
                )
            else:
                self.scenarios.append(scenario)

    def _choose_servers(self) -> None:
        out = target() / "compare"
        out.mkdir(parents=True, exist_ok=True)
        for server in SERVERS:
            if self.options.only and server.name not in (*self.options.only, FLOOR):
                continue
            if all(self._unable(server, scenario) for scenario in self.scenarios):
                continue
            say(f"{server.name}: building")
            try:
                self.programs[server.name] = server.build(out)
                self._check(server)
            except (Missing, job.Broken) as problem:
                say(f"{server.name} is left out: {problem}")
            else:
                self.servers.append(server)
        if not self.servers:
            sys.exit("no server is available")

    def _check(self, server: Server) -> None:
        """Checks the versions of HTTP that the scenarios need."""
        for http2 in {scenario.is_http2 for scenario in self.scenarios}:
            if not (server.http2 if http2 else server.http1):
                continue
            first = next(one for one in self.scenarios if one.is_http2 == http2)
            plain = dataclasses.replace(first, file=0, scheme="http")
            with self._run(server, plain) as running:
                if server.name == FLOOR:
                    if not http2:
                        job.check_floor(running.port)
                elif http2:
                    job.check_http2(plain.url(running.port), posts=server.posts)
                else:
                    job.check(running.port, posts=server.posts)

    def _measure(self, server: Server, scenario: Scenario) -> Measurement | str:
        if unable := self._unable(server, scenario):
            return unable
        try:
            with self._run(server, scenario) as running:
                if scenario.is_http2:
                    if server.name != FLOOR:
                        page = b"x" * scenario.file or job.PAGE
                        job.check_http2(scenario.url(running.port), page=page, posts=False)
                else:
                    job.warm_up(running.port, scenario.scheme)
                return measure(running, scenario, self.options.seconds, self.load_threads)
        except (Failed, Missing, job.Broken) as problem:
            return str(problem)

    def _unable(self, server: Server, scenario: Scenario) -> str | None:
        if not (server.http2 if scenario.is_http2 else server.http1):
            return "does not speak this version of HTTP"
        if scenario.posts and not server.posts:
            return "can't echo"
        if scenario.is_http2:
            if (scenario.file or scenario.is_tls) and not server.http2_files:
                return "has one page here, and no TLS"
        elif scenario.file and not server.files:
            return "serves no files"
        return None

    def _run(self, server: Server, scenario: Scenario | None = None) -> Running:
        setting = Setting(
            port=free_port(),
            threads=self.threads,
            workers=self.options.workers,
            flags=scenario.flags if scenario else (),
            folder=self.folder / server.name,
            root=self._root(scenario.file) if scenario and scenario.file else None,
            file=scenario.file if scenario else 0,
            tls=certificate(self.folder) if scenario and scenario.is_tls else None,
            http2=scenario is not None and scenario.is_http2,
        )
        command = server.command(self.programs[server.name], setting)
        return Running(command, setting.port, self.folder / f"{server.name}.log", self.server_cpu)

    def _root(self, size: int) -> Path:
        """The folder with a file of this size, which is created the first time."""
        root = self.folder / f"root-{size}"
        if not root.exists():
            root.mkdir()
            with (root / FILE).open("wb") as file:
                file.writelines(b"x" * min(left, MIB) for left in range(size, 0, -MIB))
        return root

    def _circumstances(self) -> str:
        options = self.options
        rounds = f"{options.rounds} rounds"
        if options.syscalls or options.rounds == 1:
            rounds = "One round"
        where = (
            f"server on processor {self.server_cpu}, load on {self.load_cpu}"
            if options.pin
            else "processors shared by server and load"
        )
        return f"{rounds} of {options.seconds} s, {where}. {report.circumstances()}\n"

    def _write_json(self, results: report.Results) -> None:
        if not self.options.json:
            return
        rows = {
            scenario: {
                name: [
                    dataclasses.asdict(one) if isinstance(one, Measurement) else {"failed": one}
                    for one in rounds
                ]
                for name, rounds in of_scenario.items()
            }
            for scenario, of_scenario in results.items()
        }
        content = {"circumstances": self._circumstances(), "results": rows}
        self.options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    sys.exit(main())
