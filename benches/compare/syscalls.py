"""System calls per request, counted by strace."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from scenarios import Failed, Scenario, load
from servers import Running
from usage import session


def count(
    running: Running, scenario: Scenario, seconds: int, threads: int, folder: Path
) -> dict[str, float]:
    """Returns the number per request for each call."""
    summary = folder / "strace"
    attached = [option for pid in session(running.leader) for option in ("-p", str(pid))]
    strace = subprocess.Popen(
        ["strace", "-c", "-f", "-o", str(summary), *attached],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        # It prints a line for each attached process.
        for _ in attached[::2]:
            line = strace.stderr.readline() if strace.stderr else ""
            if " attached" not in line:
                raise Failed(f"strace failed: {line.strip()}")
        requests = load(running.port, scenario, seconds, threads)["requests"]
    finally:
        os.kill(strace.pid, signal.SIGINT)
        strace.communicate()
    if requests == 0:
        raise Failed("no response arrived")
    return {name: calls / requests for name, calls in _calls(summary.read_text()).items()}


def _calls(summary: str) -> dict[str, int]:
    """The columns are: share of time, seconds, time per call, calls, errors if any, name."""
    calls = {}
    for line in summary.splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    return calls
