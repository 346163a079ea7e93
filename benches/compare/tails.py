"""Times of the slowest responses at a fixed rate, measured by benches/tail.rs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scenarios import Failed
from servers import PACKAGE, Missing, Running


@dataclass
class Tail:
    """Microseconds from the moment at which a request was due."""

    p50: float
    p99: float
    p999: float
    longest: float


def build() -> Path:
    """Builds the load generator, and returns its path."""
    command = ["cargo", "bench", "--bench", "tail", "--no-run", "--message-format", "json"]
    done = subprocess.run(
        command, check=False, cwd=PACKAGE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "tail":
            return Path(message["executable"])
    raise Missing("the load can't be built: cargo bench --bench tail --no-run")


def measure(load: Path, running: Running, rate: int, seconds: int) -> Tail:
    command = [str(load), f"127.0.0.1:{running.port}", str(rate), str(seconds)]
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds + 30,
    )
    figures = done.stdout.strip().splitlines()[-1].split()
    if done.returncode != 0 or figures[0] != "given":
        raise Failed(f"the load failed: {done.stdout.strip()[-300:]}")
    return Tail(*map(float, figures[-4:]))
