"""A real systemd in a throw-away container.

The root of the container is that of this machine, read through an overlay whose upper layer is in
memory, in a mount and pid name space of its own and in a control group of its own: nothing is
written to the machine, and when the process that holds the name space ends, all of it is gone.
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

Found = TypeVar("Found")

TOOLS = ("systemd-nspawn", "unshare", "nsenter", "setpriv", "findmnt", "journalctl", "openssl")
UNITS = Path("/etc/systemd/system")

# Seconds: for all, for the boot, and for what a check waits for.
MOST = 300
BOOT = 30
PATIENCE = 15


def missing() -> str | None:
    """Why there can be no container here."""
    if os.geteuid() != 0:
        return "it takes root"
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        return f"{', '.join(absent)} not found (Debian: systemd-container, util-linux, openssl)"
    if not _hierarchies():
        return "no control groups of version 2 and none named systemd are mounted"
    return None


def run_inside(command: list[str]) -> int:
    """Runs a command where a container can be started, and ends all that it leaves behind."""
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
        return inside.wait(MOST)
    except subprocess.TimeoutExpired:
        print(f"it has not ended after {MOST} s", file=sys.stderr)
        return 1
    finally:
        inside.kill()
        inside.wait()
        for group in groups:
            _remove(group)


class Rig:
    """A container that has booted, and what can be done in it."""

    def __init__(self, install: Callable[[Path], object]) -> None:
        """`install` is called with the container's root before it boots."""
        self._clients: list[subprocess.Popen[str]] = []
        self._root = _make_root()
        install(self._root)
        self._nspawn = self._start()
        self._leader = wait_for("a systemd", self._find_leader, BOOT)
        wait_for("the end of the boot", self._has_booted, BOOT)
        # systemd forgets how a stopped unit ended, unless another one refers to it.
        units = [file.name for file in self.path(UNITS).glob("httpool.*")]
        self.write(UNITS / "test-keeps.target", f"[Unit]\nAfter={' '.join(units)}\n")
        self.systemctl("daemon-reload")
        self.systemctl("start", "test-keeps.target")

    def stop(self) -> None:
        self._nspawn.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._nspawn.wait(PATIENCE)

    def run(self, *command: str, check: bool = True) -> str:
        """What a command in the container prints."""
        done = self._within("-a", command)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}".strip())
        return done.stdout.strip()

    def code(self, *command: str) -> int:
        return self._within("-a", command).returncode

    def client(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts one of the clients of `clients.py` in the container's network."""
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
        """Ends those that a check has left."""
        for client in self._clients:
            client.kill()
            client.wait()
        self._clients.clear()

    @contextlib.contextmanager
    def frozen(self, *threads: int) -> Iterator[None]:
        """While these threads of the container stand still, and others go on."""
        freeze = str(Path(__file__).with_name("freeze.py"))
        # It is a child of nsenter, and ends with it.
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

    def ask(self, *arguments: str) -> str:
        """What such a client says."""
        client = self.client(*arguments)
        said, _ = client.communicate(timeout=PATIENCE * 2)
        if client.returncode != 0:
            raise AssertionError(said.strip())
        return said.strip()

    def systemctl(self, *arguments: str) -> str:
        return self.run("systemctl", "--no-pager", *arguments)

    def tell(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "-p", what, "--value", unit)

    def path(self, file: Path) -> Path:
        """Where clients find a file of the container."""
        return self._root / file.relative_to("/")

    def write(self, file: Path, text: str) -> None:
        path = self.path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @contextlib.contextmanager
    def drop_in(self, unit: str, text: str) -> Iterator[None]:
        """What stands in a unit for a while."""
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


def wait_for(what: str, look: Callable[[], Found | None], patience: float = PATIENCE) -> Found:
    """What `look` finds in the end."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.05)


def _hierarchies() -> list[str]:
    """Where control groups are that systemd-nspawn would change."""
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
    """A group is empty a moment after its last process has ended."""
    for _ in range(50):
        folders = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
        for folder in (*folders, group):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if not group.exists():
            return
        time.sleep(0.1)
    print(f"{group} is left", file=sys.stderr)


def _make_root() -> Path:
    """This machine's files without its services."""
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
