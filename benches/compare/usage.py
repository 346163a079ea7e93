"""Resource usage of processes, from /proc."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Usage:
    """Processor time in seconds and current memory of all processes of one session. The parts of
    the time are counted in ticks of usually 10 ms, the whole of it in nanoseconds."""

    cpu: float
    user: float
    system: float
    resident_kib: int

    def since(self, before: Usage) -> tuple[float, float]:
        """The time in user space and in the kernel since then."""
        cpu = self.cpu - before.cpu
        user, system = self.user - before.user, self.system - before.system
        share = user / (user + system) if user + system else 0.0
        return cpu * share, cpu * (1 - share)


def session(leader: int) -> list[int]:
    """The processes of the session with this leader."""
    return [pid for pid, fields in _stats() if int(fields[3]) == leader and fields[0] != "Z"]


def usage(leader: int) -> Usage:
    cpu, user, system, pages = 0.0, 0, 0, 0
    for pid, fields in _stats():
        if int(fields[3]) != leader:
            continue
        # It may have ended.
        with contextlib.suppress(OSError):
            cpu += _cpu(pid)
        user += int(fields[11])
        system += int(fields[12])
        pages += int(fields[21])
        if pid == leader:
            # Time of its finished children.
            user += int(fields[13])
            system += int(fields[14])
            cpu += (int(fields[13]) + int(fields[14])) / TICKS
    return Usage(cpu, user / TICKS, system / TICKS, pages * PAGE_KIB)


def _cpu(pid: int) -> float:
    """Processor time of a process, by the clock that clock_getcpuclockid(3) names."""
    return time.clock_gettime(~pid << 3 | 2)


def machine() -> tuple[float, float]:
    """Seconds that all processors were busy, and that the host took from them."""
    with open("/proc/stat") as stat:
        times = [int(number) / TICKS for number in stat.readline().split()[1:]]
    user, nice, system, _idle, _wait, interrupts, soft_interrupts, stolen = times[:8]
    return user + nice + system + interrupts + soft_interrupts, stolen


def accepted() -> int:
    """Connections accepted on this machine."""
    with open("/proc/net/snmp") as snmp:
        names, values = (line.split() for line in snmp if line.startswith("Tcp:"))
    return int(values[names.index("PassiveOpens")])


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Each process with the fields of its stat after the name; the first is its state."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                # The name is in parentheses and may contain some.
                yield int(entry), stat.read().rpartition(")")[2].split()
        except OSError:
            # The process has ended.
            continue
