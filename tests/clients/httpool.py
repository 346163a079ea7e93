"""The program under test, as a process."""

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from checks import TIMEOUT, wait_for

# The server's default for --max-body, which checks reach and exceed.
MAX_BODY = 10 * 1024 * 1024

PAGE = b"<h1>Welcome to my Server</h1>"
METHODS = "GET, HEAD, POST, OPTIONS"

# Longer than the server's drain timeout, in seconds.
STOP_TIMEOUT = 40


@dataclass
class Report:
    """The server's last log line, and its exit code."""

    accepted: int
    answered: int
    aborted: int
    code: int


class Server:
    """A running server on a TCP address, by default with a free port, and on a Unix socket."""

    def __init__(self, program, scratch, *flags, listen="127.0.0.1:0"):
        self.socket = Path(scratch, f"httpool-{time.monotonic_ns()}.sock")
        self.log = []
        self.report = None
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [program, "--listen", listen, "--listen", f"unix:{self.socket}", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=_quiet_environment())
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            ready = self.wait_for_line("listening on http://")
        except BaseException:
            self.end()
            raise
        addresses = re.findall(r"http://[\d.]+:\d+", ready)
        self.url = addresses[0]
        self.port = int(self.url.rpartition(":")[2])
        # Its TLS listeners, if the flags ask for them.
        self.secure_urls = re.findall(r"https://[\d.]+:\d+", ready)
        # The last one reads the PROXY protocol, if the flags ask for it.
        self.proxied_port = int(addresses[-1].rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def wait_for_line(self, part):
        """The next line that contains `part`."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no line contains {part!r}: {self.log}")
            if part in line:
                return line

    def is_frozen(self):
        """Whether all of its threads are stopped by SIGSTOP."""
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)

    def wait_until_unconnected(self):
        """Waits until both ends of every TCP connection to it are closed."""
        wait_for("all connections are closed", lambda: not _connections(self.port))

    def terminate(self):
        self.send(signal.SIGTERM)

    def send(self, number):
        self._process.send_signal(number)

    def stop(self):
        """Stops it, and returns its report."""
        self.terminate()
        return self.wait_for_end()

    def wait_for_end(self):
        code = self._process.wait(STOP_TIMEOUT)
        self._reader.join(TIMEOUT)
        counts = re.search(
            r": (\d+) connections, (\d+) responses, (\d+) aborted", self.log[-1])
        if counts is None:
            raise AssertionError(f"the last line of the log is {self.log[-1]!r}")
        self.report = Report(*map(int, counts.groups()), code)
        return self.report

    def expect_clean_end(self):
        """Stops it if it runs. Expects code 0, no aborted request and no warning in the log."""
        report = self.report or self.stop()
        warnings = [line for line in self.log if "[ERROR]" in line or "[WARN]" in line]
        if report.code != 0 or report.aborted != 0 or warnings:
            raise AssertionError(f"{report}, with {warnings}")
        return report

    def _read(self):
        for line in self._process.stderr:
            self.log.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def end(self):
        """Kills it."""
        self._process.kill()
        self._process.wait()
        self._reader.join(TIMEOUT)


def unread(address, port):
    """The number of connections with unread bytes for this address."""
    ip = int.from_bytes(socket.inet_aton(address), sys.byteorder)
    local = f"{ip:08X}:{port:04X}"
    queues = [row[3] for row in _connections(port) if row[0] == local]
    return sum(int(queue.split(":")[1], 16) > 0 for queue in queues)


def _connections(port):
    """The connections of this port, from either side, that are at least half open (proc(5))."""
    listening, time_wait = "0A", "06"
    rows = [line.split()[1:5] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row for row in rows
            if any(int(address.split(":")[1], 16) == port for address in row[:2])
            and row[2] not in (listening, time_wait)]


def _quiet_environment():
    """The environment without variables that change the server's flags or its log format."""
    foreign = ("HTTPOOL_", "PORT", "LISTEN_", "NOTIFY_SOCKET", "JOURNAL_STREAM")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
