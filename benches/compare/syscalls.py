"""System calls per request, as strace counts them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from scenarios import Failed, Scenario, wrk
from servers import Running
from usage import session


def count(
    running: Running, scenario: Scenario, seconds: int, threads: int, folder: Path
) -> dict[str, float]:
    """Each call's name and number per request."""
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
        # It says when it has each process.
        for _ in attached[::2]:
            line = strace.stderr.readline() if strace.stderr else ""
            if " attached" not in line:
                raise Failed(f"strace failed: {line.strip()}")
        requests = wrk(running.port, scenario, seconds, threads)["requests"]
    finally:
        os.kill(strace.pid, signal.SIGINT)
        strace.communicate()
    if requests == 0:
        raise Failed("no request was answered")
    return {name: calls / requests for name, calls in _calls(summary.read_text()).items()}


def _calls(summary: str) -> dict[str, int]:
    """The lines are: share of time, seconds, time per call, calls, errors if any, name."""
    calls = {}
    for line in summary.splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    return calls
