"""A real systemd in a temporary container.

The container has a mount namespace, a pid namespace and a control group of its own. Its root is an
overlay over the root of this machine, with the upper layer in memory. So nothing is written to the
machine, and everything disappears with the process that holds the namespaces.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")

TOOLS = ("systemd-nspawn", "unshare", "nsenter", "setpriv", "findmnt", "journalctl", "openssl")
UNITS = Path("/etc/systemd/system")

# Timeouts in seconds: of all checks, of the boot, and of one step of a check.
TOTAL_TIMEOUT = 300
BOOT_TIMEOUT = 30
TIMEOUT = 15


def missing() -> str | None:
    """Returns why a container can't run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        return f"{', '.join(absent)} not found (Debian: systemd-container, util-linux, openssl)"
    if not _hierarchies():
        return "neither cgroup v2 nor the hierarchy named systemd is mounted"
    return None


def run_inside(command: list[str]) -> int:
    """Runs a command that can start a container, and then ends all its processes."""
    groups = [Path(parent) / f"httpool-test.{os.getpid()}" for parent in _hierarchies()]
    for group in groups:
        group.mkdir()

    def enter() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    private = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    inside = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *private, "--propagation", "private", *command],
        stdin=subprocess.DEVNULL,
        preexec_fn=enter,
    )
    try:
        return inside.wait(TOTAL_TIMEOUT)
    except subprocess.TimeoutExpired:
        print(f"no end within {TOTAL_TIMEOUT} s", file=sys.stderr)
        return 1
    finally:
        inside.kill()
        inside.wait()
        for group in groups:
            _remove(group)


class Rig:
    """A booted container, with operations for the checks."""

    def __init__(self, install: Callable[[Path], object]) -> None:
        """Calls `install` with the root of the container, then boots it."""
        self._clients: list[subprocess.Popen[str]] = []
        self._root = _make_root()
        install(self._root)
        self._nspawn = self._start()
        self._leader = wait_for("a systemd", self._find_leader, BOOT_TIMEOUT)
        wait_for("the end of the boot", self._has_booted, BOOT_TIMEOUT)
        # systemd forgets how a stopped unit ended unless another unit refers to it.
        units = [file.name for file in self.path(UNITS).glob("httpool.*")]
        self.write(UNITS / "test-keeps.target", f"[Unit]\nAfter={' '.join(units)}\n")
        self.systemctl("daemon-reload")
        self.systemctl("start", "test-keeps.target")

    def stop(self) -> None:
        self._nspawn.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._nspawn.wait(TIMEOUT)

    def run(self, *command: str, check: bool = True) -> str:
        """Runs a command in the container and returns its standard output."""
        done = self._within("-a", command)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}".strip())
        return done.stdout.strip()

    def code(self, *command: str) -> int:
        return self._within("-a", command).returncode

    def client(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a client of `clients.py` in the network of the container."""
        clients = str(Path(__file__).with_name("clients.py"))
        client = subprocess.Popen(
            ["nsenter", "-t", str(self._leader), "-n", sys.executable, clients, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._clients.append(client)
        return client

    def end_clients(self) -> None:
        """Kills the clients that a check has left running."""
        for client in self._clients:
            client.kill()
            client.wait()
        self._clients.clear()

    @contextlib.contextmanager
    def frozen(self, *threads: int) -> Iterator[None]:
        """Stops these threads of the container inside the `with` block."""
        freeze = str(Path(__file__).with_name("freeze.py"))
        # The process is a child of nsenter and ends with it.
        enter = ["nsenter", "-t", str(self._leader), "-p", "--", "setpriv", "--pdeathsig", "KILL"]
        process = subprocess.Popen(
            [*enter, sys.executable, freeze, *map(str, threads)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout and process.stdout.readline() == "frozen\n"
            yield
        finally:
            process.kill()
            process.wait()

    def run_client(self, *arguments: str) -> str:
        """Runs a client of `clients.py` to its end and returns its output."""
        client = self.client(*arguments)
        output, _ = client.communicate(timeout=TIMEOUT * 2)
        if client.returncode != 0:
            raise AssertionError(output.strip())
        return output.strip()

    def systemctl(self, *arguments: str) -> str:
        return self.run("systemctl", "--no-pager", *arguments)

    def property(self, unit: str, name: str) -> str:
        """Returns a property of a unit."""
        return self.systemctl("show", "-p", name, "--value", unit)

    def path(self, file: Path) -> Path:
        """Returns the path of a file of the container on this machine."""
        return self._root / file.relative_to("/")

    def write(self, file: Path, text: str) -> None:
        path = self.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @contextlib.contextmanager
    def drop_in(self, unit: str, text: str) -> Iterator[None]:
        """Adds settings to a unit inside the `with` block."""
        folder = UNITS / f"{unit}.d"
        self.write(folder / "zz-test.conf", f"[Service]\n{text}\n")
        self.systemctl("daemon-reload")
        try:
            yield
        finally:
            self.path(folder / "zz-test.conf").unlink()
            self.systemctl("stop", unit)
            self.systemctl("daemon-reload")
            self.run("systemctl", "reset-failed", unit, check=False)

    def _within(self, spaces: str, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "-t", str(self._leader), spaces, "--", *command],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                "systemd-nspawn", "--quiet", "--boot", f"--directory={self._root}",
                "--register=no", "--keep-unit", "--private-network", "--machine=httpool-test",
                "--hostname=rig", "--console=pipe", "--link-journal=no", "--resolv-conf=off",
                "--timezone=off",
            ],
            env={"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _find_leader(self) -> int | None:
        if self._nspawn.poll() is not None:
            raise AssertionError(f"systemd-nspawn ended with {self._nspawn.returncode}")
        pid = self._nspawn.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
        return None

    def _has_booted(self) -> bool:
        return self.run("systemctl", "is-system-running", check=False) in ("running", "degraded")


def wait_for(name: str, look: Callable[[], Result | None], timeout: float = TIMEOUT) -> Result:
    """Calls `look` until it returns a true value, and returns that."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {name}")
        time.sleep(0.05)


def _hierarchies() -> list[str]:
    """Returns the mount points of the control groups that systemd-nspawn changes."""
    listed = subprocess.run(
        ["findmnt", "-rno", "TARGET,FSTYPE,OPTIONS", "-t", "cgroup,cgroup2"],
        check=False,
        capture_output=True,
        text=True,
    )
    found = (line.split(" ", 2) for line in listed.stdout.splitlines())
    return [
        target for target, kind, options in found if kind == "cgroup2" or "name=systemd" in options
    ]


def _remove(group: Path) -> None:
    """Removes a group, which becomes empty soon after its last process has ended."""
    for _ in range(50):
        folders = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*folders, group):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if not group.exists():
            return
        time.sleep(0.1)
    print(f"cannot remove {group}", file=sys.stderr)


def _make_root() -> Path:
    """Mounts a root with the files of this machine, but without its services."""
    layers = Path("/run/httpool-test")
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    layers.mkdir()
    _mount("-t", "tmpfs", "-o", "mode=755,size=1g", "tmpfs", str(layers))
    for name in ("upper", "work", "root"):
        (layers / name).mkdir()
    root = layers / "root"
    where = f"lowerdir=/,upperdir={layers}/upper,workdir={layers}/work"
    _mount("-t", "overlay", "overlay", "-o", where, str(root))
    shutil.rmtree(root / "etc/systemd/system", ignore_errors=True)
    shutil.rmtree(root / "var/log/journal", ignore_errors=True)
    (root / "etc/fstab").unlink(missing_ok=True)
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    (units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for name in ("networkd", "resolved", "timesyncd", "firstboot"):
        (units / f"systemd-{name}.service").symlink_to("/dev/null")
    for name in ("console-getty", "getty@tty1"):
        (units / f"{name}.service").symlink_to("/dev/null")
    machine = Path("/proc/sys/kernel/random/uuid").read_text().replace("-", "")
    (root / "etc/machine-id").unlink(missing_ok=True)
    (root / "etc/machine-id").write_text(machine)
    return root


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
