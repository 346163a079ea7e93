"""What processes use, as the system tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Usage:
    """Of all processes of one session: seconds of processor time, and memory now."""

    user: float
    system: float
    resident_kib: int

    @property
    def cpu(self) -> float:
        return self.user + self.system


def session(leader: int) -> list[int]:
    """The processes of the session that this one leads."""
    return [pid for pid, fields in _stats() if int(fields[3]) == leader and fields[0] != "Z"]


def usage(leader: int) -> Usage:
    user = system = pages = 0
    for pid, fields in _stats():
        if int(fields[3]) != leader:
            continue
        user += int(fields[11])
        system += int(fields[12])
        pages += int(fields[21])
        if pid == leader:
            # Of its children that have ended.
            user += int(fields[13])
            system += int(fields[14])
    return Usage(user / TICKS, system / TICKS, pages * PAGE_KIB)


def machine() -> tuple[float, float]:
    """Seconds that all processors together have worked, and that the host has taken from them."""
    with open("/proc/stat") as stat:
        times = [int(number) / TICKS for number in stat.readline().split()[1:]]
    user, nice, system, _idle, _wait, interrupts, soft_interrupts, stolen = times[:8]
    return user + nice + system + interrupts + soft_interrupts, stolen


def accepted() -> int:
    """Connections that have been accepted on this machine."""
    with open("/proc/net/snmp") as snmp:
        names, values = (line.split() for line in snmp if line.startswith("Tcp:"))
    return int(values[names.index("PassiveOpens")])


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Each process with the fields of its stat that follow the name; the first is its state."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                # The name is in brackets and may contain some.
                yield int(entry), stat.read().rpartition(")")[2].split()
        except OSError:
            # It has ended meanwhile.
            continue
