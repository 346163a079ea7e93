"""Tables of the results."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from statistics import median

from scenarios import Measurement, Scenario
from servers import FLOOR, HERE, OURS, Missing, find_nginx
from tails import Tail

# By scenario and server: a measurement for each round, or the reason why it failed.
Results = dict[str, dict[str, list["Measurement | str"]]]

# If other processes keep more processors busy on average, a note says so.
DISTURBED = 0.15


def ratios(of_server: list[Measurement | str], of_other: list[Measurement | str]) -> list[float]:
    """Ratios of processor time per request, for each round in which both were measured."""
    return [
        one.cpu / other.cpu
        for one, other in zip(of_server, of_other)
        if isinstance(one, Measurement) and isinstance(other, Measurement) and other.cpu > 0
    ]


def overview(results: Results, names: list[str], scenarios: list[Scenario]) -> str:
    """One row for each server, one column for each scenario."""
    rows = [["server", *(scenario.name for scenario in scenarios)]]
    for name in names:
        row = [name]
        for scenario in scenarios:
            of_scenario = results.get(scenario.name, {})
            found = ratios(of_scenario.get(name, []), of_scenario.get(FLOOR, []))
            row.append("1.00" if name == FLOOR and found else _spread(found))
        rows.append(row)
    return _table(rows)


def beside(results: Results, names: list[str], scenarios: list[Scenario]) -> str:
    """Ratios of httpool to each other server, round by round. They are more precise than ratios to
    the floor, because the two ran within the same minute. One row for each other server."""
    rows = [[f"{OURS} relative to", *(scenario.name for scenario in scenarios)]]
    for name in names:
        if name in (OURS, FLOOR):
            continue
        row = [name]
        for scenario in scenarios:
            of_scenario = results.get(scenario.name, {})
            found = ratios(of_scenario.get(OURS, []), of_scenario.get(name, []))
            cheaper = sum(ratio < 1 for ratio in found)
            row.append(f"{median(found):.2f}, {cheaper} of {len(found)}" if found else "–")
        rows.append(row)
    return _table(rows)


def details(results: Results, names: list[str], scenario: Scenario) -> str:
    """One row for each measured server, the cheapest first, then those that were not measured."""
    of_scenario = results.get(scenario.name, {})
    heads = [
        "server", "ratio to the floor", "CPU µs/request", "user", "system", "requests/s",
        "p50 µs", "p99 µs", "memory MiB",
    ]  # fmt: skip
    if scenario.idle:
        heads.append("bytes/idle connection")
    measured, failed = [], []
    for name in names:
        rounds = of_scenario.get(name, [])
        good = [one for one in rounds if isinstance(one, Measurement)]
        notes = sorted({one for one in rounds if isinstance(one, str)})
        if good:
            figures = Figures(good)
            found = ratios(rounds, of_scenario.get(FLOOR, []))
            row = [name, "1.00" if name == FLOOR else _spread(found), *figures.cells()]
            if scenario.idle:
                row.append(f"{figures.middle('per_idle'):,.0f}")
            row.append("; ".join([*notes, *figures.notes()]))
            measured.append((figures.middle("cpu"), row))
        else:
            failed.append([name, *["–"] * (len(heads) - 1), "; ".join(notes)])
    measured.sort(key=lambda one: one[0])
    return _table([[*heads, "notes"], *(row for _, row in measured), *failed])


class Figures:
    """Medians over the rounds of one server."""

    def __init__(self, rounds: list[Measurement]) -> None:
        self._rounds = rounds

    def middle(self, figure: str) -> float:
        return float(median(getattr(one, figure) for one in self._rounds))

    def time(self, figure: str) -> str:
        """A response time, which not every load reports."""
        unknown = any(getattr(one, figure) is None for one in self._rounds)
        return "–" if unknown else f"{self.middle(figure):,.0f}"

    def cells(self) -> list[str]:
        return [
            _spread([one.cpu for one in self._rounds]),
            f"{self.middle('user'):.2f}",
            f"{self.middle('system'):.2f}",
            f"{self.middle('per_second'):,.0f}",
            self.time("p50"),
            self.time("p99"),
            f"{self.middle('resident_kib') / 1024:.1f}",
        ]

    def notes(self) -> list[str]:
        notes = sorted({note for one in self._rounds for note in one.notes})
        if self.middle("foreign") > DISTURBED:
            notes.append(f"other processes kept {self.middle('foreign'):.2f} processors busy")
        if self.middle("stolen") > DISTURBED:
            notes.append(f"the host took {self.middle('stolen'):.2f} processors")
        return notes


def system_calls(counts: dict[str, dict[str, float]]) -> str:
    rows = [["server", "calls/request", "of these"]]
    for name, calls in sorted(counts.items(), key=lambda item: sum(item[1].values())):
        most = sorted(calls.items(), key=lambda item: -item[1])
        rows.append(
            [
                name,
                f"{sum(calls.values()):.2f}",
                ", ".join(f"{call} {number:.2f}" for call, number in most if number >= 0.005),
            ]
        )
    return _table(rows)


def tails(found: dict[str, list[Tail]]) -> str:
    rows = [["server", "p50 µs", "p99 µs", "p99.9 µs", "longest µs"]]
    for name, rounds in found.items():
        if not rounds:
            continue
        figures = [
            [getattr(one, figure) for one in rounds] for figure in ("p50", "p99", "p999", "longest")
        ]
        rows.append([name, *(_whole(values) for values in figures)])
    return _table(rows)


def circumstances() -> str:
    """The machine and the versions, in one paragraph."""
    locked = (HERE / "peers" / "Cargo.lock").read_text()
    peers = [
        f"{name} {version}"
        for name, version in re.findall(r'name = "(.*)"\nversion = "(.*)"', locked)
        if name in ("hyper", "axum", "actix-web", "tokio", "tiny_http", "rouille")
    ]
    parts = [
        f"{os.cpu_count()} cores ({_processor()})",
        f"Linux {platform.release()}",
        _version(r"^(rustc \S+)", "rustc", "--version"),
        _version(r"^(wrk \S+)", "wrk", "-v"),
        _version(r"^(h2load \S+)", "h2load", "--version"),
        *peers,
        _nginx(),
        _version(r"^(h2o version \S+)", "h2o", "--version"),
        _version(r"(go\d\S*)", "go", "version"),
    ]
    return ", ".join(part for part in parts if part) + "."


def _nginx() -> str | None:
    try:
        return _version(r"(nginx/\S+)", str(find_nginx()), "-v")
    except Missing:
        return None


def _processor() -> str:
    with open("/proc/cpuinfo") as info:
        found = re.search(r"^model name\s*: (.*)$", info.read(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _version(pattern: str, *command: str) -> str | None:
    try:
        output = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, output, re.MULTILINE)
    return found[1] if found else None


def _spread(values: list[float]) -> str:
    """The median with the smallest and the largest value."""
    if not values:
        return "–"
    middle = f"{median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}–{max(values):.2f})"


def _whole(values: list[float]) -> str:
    """The median with the smallest and the largest value, without decimals."""
    return f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def _table(rows: list[list[str]]) -> str:
    head, *others = rows
    lines = [head, ["---"] * len(head), *others]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"
