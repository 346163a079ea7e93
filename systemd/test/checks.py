"""What an operator does with the units, and what must come of it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from rig import UNITS, Rig, wait_for

SERVICE = "httpool.service"
SOCKET = "httpool.socket"
SETTINGS = Path("/etc/default/httpool")
SITE = Path("/srv/site")

RESTARTS = 5
ROTATIONS = 20

# Characters that are shown of what is wrong.
MOST = 2000

# How often threads are caught, until they are in what they are to be in.
TRIES = 20


def verify(rig: Rig) -> None:
    """the units are valid, and nothing in them is unknown"""
    names = [str(UNITS / name) for name in (SERVICE, SOCKET, "httpool@a.service")]
    said = rig.run("systemd-analyze", "verify", "--man=no", *names)
    assert said == "", said


def start_and_stop(rig: Rig) -> None:
    """start returns when it answers, and not before; stop when it has ended well"""
    slow = "ExecStart=\nExecStart=sh -c 'sleep 1; exec /usr/local/bin/httpool'"
    with rig.drop_in(SERVICE, slow):
        begun = _monotonic(rig)
        rig.systemctl("start", SERVICE)
        assert rig.ask("get", "4000").startswith("200 ")
        took = _monotonic(rig) - begun
        assert took >= 1, f"it has answered after {took} s"
        rig.systemctl("stop", SERVICE)
        _ended_well(rig)
        _is(rig, SERVICE, "ActiveState", "inactive")


def status(rig: Rig) -> None:
    """the status line shows connections, workers and requests"""

    def wait_for_status(shown: str) -> None:
        wait_for("the status", lambda: rig.tell(SERVICE, "StatusText") == shown)
        assert shown in rig.systemctl("status", SERVICE)

    rig.write(SETTINGS, "HTTPOOL_WORKERS=1\n")
    rig.systemctl("start", SERVICE)
    wait_for_status("serving: 0 connections, 0 of 1 workers busy, 0 responses")
    for _ in range(3):
        rig.ask("echo", "4000", "10")
    wait_for_status("serving: 0 connections, 0 of 1 workers busy, 3 responses")
    upload = rig.client("upload", "4000", "1000000")
    assert upload.stdout and upload.stdout.readline() == "half\n"
    wait_for_status("serving: 1 connections, 0 of 1 workers busy, 3 responses")
    with _busy(rig, "serving: 2 connections, 1 of 1 workers busy"):
        assert "1 of 1 workers busy" in rig.systemctl("status", SERVICE)
    upload.kill()
    rig.systemctl("stop", SERVICE)


def journal(rig: Rig) -> None:
    """log lines are in the journal with their priorities"""
    rig.systemctl("start", SERVICE)
    rig.systemctl("stop", SERVICE)
    said = rig.run("journalctl", "--no-pager", "-o", "json", "-u", SERVICE, "_COMM=httpool")
    lines = [json.loads(line) for line in said.splitlines()]
    listening = [line for line in lines if "listening on" in line["MESSAGE"]]
    assert listening and listening[-1]["PRIORITY"] == "6", lines[-3:]
    assert not listening[-1]["MESSAGE"].startswith("<"), listening[-1]["MESSAGE"]


def activation(rig: Rig) -> None:
    """the first connection starts the service behind its socket"""
    rig.systemctl("start", SOCKET)
    _is(rig, SERVICE, "ActiveState", "inactive")
    assert rig.ask("get", "4000").startswith("200 ")
    _is(rig, SERVICE, "ActiveState", "active")
    rig.systemctl("stop", SOCKET, SERVICE)


def restarts_under_load(rig: Rig) -> None:
    """restarts behind the socket lose nothing and refuse nobody"""
    # How each run has ended, which systemd forgets when the next one begins.
    tells = "ExecStopPost=sh -c 'echo ended: $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS'"
    with rig.drop_in(SERVICE, tells):
        rig.systemctl("start", SOCKET)
        load = rig.client("load", "4000")
        for _ in range(RESTARTS):
            served = re.compile(r"[1-9]\d\d+ responses")
            wait_for("a load", lambda: served.search(rig.tell(SERVICE, "StatusText")))
            before = rig.tell(SERVICE, "MainPID")
            rig.systemctl("restart", SERVICE)
            assert rig.tell(SERVICE, "MainPID") != before
        answered = _end_load(load)
        rig.systemctl("stop", SOCKET, SERVICE)
        wait_for("the end of each run", lambda: len(_ends(rig)) == RESTARTS + 1)
        assert set(_ends(rig)) == {"ended: success exited 0"}, _ends(rig)
    print(f"      {answered} requests answered through {RESTARTS} restarts")


def _ends(rig: Rig) -> list[str]:
    said = rig.run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE)
    return [line for line in said.splitlines() if line.startswith("ended: ")]


def _end_load(load: subprocess.Popen[str]) -> int:
    """How many requests were answered, and that nothing else has come of any."""
    said, _ = load.communicate("", timeout=30)
    tally = json.loads(said)
    answered, late = tally.pop("answered"), tally.pop("late", 0)
    assert not tally and answered > 500 and late < answered / 100, said
    return answered


def draining(rig: Rig) -> None:
    """stop waits for an upload under way, and says so meanwhile"""
    rig.systemctl("start", SERVICE)
    upload = rig.client("upload", "4000", "1000000")
    assert upload.stdout and upload.stdout.readline() == "half\n"
    rig.systemctl("stop", "--no-block", SERVICE)
    wait_for(
        "the status of a drain",
        lambda: rig.tell(SERVICE, "StatusText").startswith("draining: 1 connections,"),
    )
    said, _ = upload.communicate("go on\n", timeout=20)
    assert said == "whole\n", said
    wait_for("the end", lambda: rig.tell(SERVICE, "ActiveState") == "inactive")
    _ended_well(rig)


def long_drain(rig: Rig) -> None:
    """stop waits for a drain delay longer than TimeoutStopSec="""
    with rig.drop_in(SERVICE, "TimeoutStopSec=3s\nEnvironment=HTTPOOL_DRAIN_DELAY=5s"):
        rig.systemctl("start", SERVICE)
        begun = _monotonic(rig)
        rig.systemctl("stop", SERVICE)
        took = _monotonic(rig) - begun
        assert took >= 5, f"it has ended after {took} s"
        _ended_well(rig)


def stuck_drain(rig: Rig) -> None:
    """a drain that goes nowhere is killed when its time is over"""
    settings = "TimeoutStopSec=1s\nEnvironment=HTTPOOL_DRAIN_TIMEOUT=0s"
    with rig.drop_in(SERVICE, settings):
        rig.systemctl("start", SERVICE)
        # Who accepts is the first thread, and all others go on.
        with rig.frozen(int(rig.tell(SERVICE, "MainPID"))):
            rig.systemctl("stop", SERVICE)
        _is(rig, SERVICE, "Result", "timeout")


def reload(rig: Rig) -> None:
    """reload returns when rotated logs are open again, and nothing else happens"""
    log, lines = "/var/log/httpool/log", "/var/log/httpool/access"
    settings = f"Environment=HTTPOOL_LOG_FILE={log} HTTPOOL_ACCESS_LOG={lines}"
    with rig.drop_in(SERVICE, f"LogsDirectory=httpool\n{settings}"):
        rig.systemctl("start", SERVICE)
        pid = rig.tell(SERVICE, "MainPID")
        for rotation in range(ROTATIONS):
            assert rig.ask("get", "4000").startswith("200 ")
            # No process is started between the end of the reload and the look.
            rotated = f"mv {log} {log}.{rotation} && mv {lines} {lines}.{rotation}"
            opened = f"[ -e {lines} ] && read -r line <{log}"
            rig.run("sh", "-c", f"{rotated} && systemctl reload {SERVICE} && {opened}")
            _is(rig, SERVICE, "ActiveState", "active")
            _is(rig, SERVICE, "MainPID", pid)
        rig.systemctl("stop", SERVICE)
        _ended_well(rig)
        requests = rig.run("sh", "-c", f"cat {lines}*").splitlines()
        assert len(requests) == ROTATIONS, requests


def watchdog(rig: Rig) -> None:
    """a server whose acceptor stands still is restarted, one that moves is not"""
    with rig.drop_in(SERVICE, "WatchdogSec=1s\nRestartSec=100ms"):
        rig.systemctl("start", SERVICE)
        begun = _monotonic(rig)
        wait_for("three seconds", lambda: _monotonic(rig) > begun + 3)
        _is(rig, SERVICE, "NRestarts", "0")
        # It is the first thread, and all others go on.
        with rig.frozen(int(rig.tell(SERVICE, "MainPID"))):
            _is_restarted(rig)


def stuck_workers(rig: Rig) -> None:
    """a server whose workers are all stuck in what they do is restarted"""
    with rig.drop_in(SERVICE, "WatchdogSec=3s\nRestartSec=100ms\nEnvironment=HTTPOOL_WORKERS=2"):
        rig.systemctl("start", SERVICE)
        with _busy(rig, "2 connections, 2 of 2 workers busy"):
            _is_restarted(rig)


def absent_workers(rig: Rig) -> None:
    """a server whose workers leave those who wait alone is restarted, and not before"""
    settings = "Environment=HTTPOOL_WORKERS=2 HTTPOOL_HEAD_TIMEOUT=1s"
    with rig.drop_in(SERVICE, f"WatchdogSec=1s\nRestartSec=100ms\n{settings}"):
        rig.systemctl("start", SERVICE)
        with rig.frozen(*_workers(rig)):
            begun = _monotonic(rig)
            wait_for("two seconds", lambda: _monotonic(rig) > begun + 2)
            _is(rig, SERVICE, "NRestarts", "0")
            clients = [rig.client("get", "4000") for _ in range(3)]
            _is_restarted(rig)
        for client in clients:
            client.communicate()


def _is_restarted(rig: Rig) -> None:
    """By the watchdog, and works again."""
    run = rig.tell(SERVICE, "InvocationID")
    wait_for("a restart", lambda: rig.tell(SERVICE, "NRestarts") == "1")
    wait_for("the new server", lambda: rig.tell(SERVICE, "ActiveState") == "active")
    assert rig.ask("get", "4000").startswith("200 ")
    assert "Watchdog timeout" in rig.run("journalctl", "--no-pager", f"INVOCATION_ID={run}")


def _workers(rig: Rig) -> list[int]:
    pid = rig.tell(SERVICE, "MainPID")
    names = rig.run("sh", "-c", f"cd /proc/{pid}/task && grep ^httpool- */comm")
    return [int(line.split("/")[0]) for line in names.splitlines()]


@contextlib.contextmanager
def _busy(rig: Rig, status: str) -> Iterator[None]:
    """While every worker stands still in the middle of a request, and the status line says so."""
    clients = [rig.client("busy", "4000") for _ in _workers(rig)]
    with contextlib.ExitStack() as frozen:
        frozen.callback(lambda: [client.kill() for client in clients])
        for _ in range(TRIES):
            held = frozen.enter_context(contextlib.ExitStack())
            held.enter_context(rig.frozen(*_workers(rig)))
            # The status line is told once a second.
            begun = _monotonic(rig)
            wait_for("a moment", lambda: _monotonic(rig) > begun + 1.2)
            if status in rig.tell(SERVICE, "StatusText"):
                break
            held.close()
        else:
            raise AssertionError(f"never: {status}")
        yield


def crash(rig: Rig) -> None:
    """a server that is killed is restarted; a wrong setting is no crash"""
    with rig.drop_in(SERVICE, "RestartSec=100ms"):
        rig.systemctl("start", SERVICE)
        rig.run("kill", f"-{signal.SIGKILL.value}", rig.tell(SERVICE, "MainPID"))
        wait_for("a restart", lambda: rig.tell(SERVICE, "NRestarts") == "1")
        wait_for("the new server", lambda: rig.tell(SERVICE, "ActiveState") == "active")
    with rig.drop_in(SERVICE, "RestartSec=100ms\nEnvironment=HTTPOOL_WORKERS=none"):
        assert rig.code("systemctl", "start", SERVICE) != 0
        wait_for("the failure", lambda: rig.tell(SERVICE, "ActiveState") == "failed")
        _is(rig, SERVICE, "ExecMainStatus", "2")
        _is(rig, SERVICE, "NRestarts", "0")
        assert "HTTPOOL_WORKERS" in rig.run("journalctl", "--no-pager", "-u", SERVICE)


def failing_start_behind_socket(rig: Rig) -> None:
    """behind the socket a start that fails is tried once in two seconds, and clients wait"""
    # A wrong value, and a file that is missing: exit codes 2 and 1.
    for setting in ("HTTPOOL_WORKERS=none", "HTTPOOL_ROOT=/no/such/folder"):
        before = _failures(rig)
        rig.write(SETTINGS, f"{setting}\n")
        rig.systemctl("start", SOCKET)
        client = rig.client("get", "4000")
        wait_for("the first try", lambda: _failures(rig) > before)
        begun = _monotonic(rig)
        wait_for("seven seconds", lambda: _monotonic(rig) > begun + 7)
        # The first one, and one each two seconds.
        tries = _failures(rig) - before
        assert 2 <= tries <= 5, f"{tries} tries in seven seconds with {setting}"
        _is(rig, SOCKET, "ActiveState", "active")
        rig.write(SETTINGS, "")
        said, _ = client.communicate(timeout=20)
        assert said.startswith("200 "), said
        rig.systemctl("stop", SOCKET, SERVICE)


def _failures(rig: Rig) -> int:
    said = rig.run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE)
    return said.count("httpool.service: Main process exited")


def hardening(rig: Rig) -> None:
    """the sandbox holds, and everything works in it"""
    with rig.drop_in(SERVICE, "Environment=HTTPOOL_ADMIN=127.0.0.1:9090"):
        rig.systemctl("start", SERVICE)
        _everything_works(rig)
        _sandbox_holds(rig)
        rig.systemctl("stop", SERVICE)


def site(rig: Rig) -> None:
    """the sandbox lets a folder be served, over TLS, with a line for each request"""
    rig.write(Path("/srv/secret"), "secret")
    rig.write(SITE / "sub/page", "a page")
    for link, target in (("in", "sub/page"), ("out", "../secret"), ("far", "/srv/secret")):
        rig.run("ln", "-s", target, str(SITE / link))
    # The key is root's, and systemd hands it on.
    key, certificate = Path("/etc/httpool/key"), Path("/etc/httpool/certificate")
    _make_certificate(rig, key, certificate)
    lines = "/var/log/httpool/site"
    settings = (
        f"LoadCredential=key:{key}\n"
        f"LoadCredential=certificate:{certificate}\n"
        "LogsDirectory=httpool\n"
        f"Environment=HTTPOOL_ROOT={SITE} HTTPOOL_ACCESS_LOG={lines}\n"
        "Environment=HTTPOOL_LISTEN=localhost:4000 HTTPOOL_LISTEN_TLS=localhost:4443\n"
        "Environment=HTTPOOL_TLS_CERT=%d/certificate HTTPOOL_TLS_KEY=%d/key"
    )
    with rig.drop_in(SERVICE, settings):
        rig.systemctl("start", SERVICE)
        trusted = str(rig.path(certificate))
        for target in ("/sub/page", "/in"):
            assert rig.ask("get", "4000", target) == "200 a page", target
            assert rig.ask("tls", "4443", target, trusted) == "200 a page", target
        for target in ("/out", "/far"):
            assert rig.ask("get", "4000", target).startswith("404 "), target
        wait_for("a line for each", lambda: len(rig.run("cat", lines).splitlines()) == 6)
        _sandbox_holds(rig)
        rig.systemctl("stop", SERVICE)
        _ended_well(rig)


def credentials(rig: Rig) -> None:
    """a key that only root may read is handed on, and a renewed one by a restart"""
    key, certificate = Path("/etc/httpool/key.pem"), Path("/etc/httpool/cert.pem")
    settings = (
        f"LoadCredential=key.pem:{key}\n"
        f"LoadCredential=cert.pem:{certificate}\n"
        "Environment=HTTPOOL_LISTEN_TLS=localhost:4443\n"
        "Environment=HTTPOOL_TLS_CERT=%d/cert.pem HTTPOOL_TLS_KEY=%d/key.pem"
    )
    trusted = str(rig.path(certificate))
    _make_certificate(rig, key, certificate)
    rig.run("chmod", "600", str(key))
    with rig.drop_in(SERVICE, settings):
        rig.systemctl("start", SERVICE)
        assert rig.ask("tls", "4443", "/", trusted).startswith("200 ")
        _make_certificate(rig, key, certificate)
        rig.systemctl("reload", SERVICE)
        _is(rig, SERVICE, "ActiveState", "active")
        rig.systemctl("restart", SERVICE)
        assert rig.ask("tls", "4443", "/", trusted).startswith("200 ")
        rig.systemctl("stop", SERVICE)
        _ended_well(rig)


def _make_certificate(rig: Rig, key: Path, certificate: Path) -> None:
    rig.run("mkdir", "-p", str(key.parent))
    rig.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost",
    )  # fmt: skip


def logrotate(rig: Rig) -> None:
    """logrotate takes no line away, with its own settings and with create"""
    if not shutil.which("logrotate"):
        print("      skipped: there is no logrotate")
        return
    folder, rules = Path("/var/log/httpool"), Path("/etc/logrotate.d/httpool")
    shipped = rig.path(rules).read_text()
    settings = (
        "LogsDirectory=httpool\n"
        f"Environment=HTTPOOL_LOG_FILE={folder}/server.log HTTPOOL_ACCESS_LOG={folder}/access.log"
    )
    # How many requests are in the new file, of one before and one after the rotation: a file that
    # belongs to somebody else can't be written to, and then both are in the renamed one.
    for create, expected in (("nocreate", 1), ("create", 1), ("create 0640 root adm", 0)):
        rig.write(rules, shipped.replace("    nocreate\n", f"    {create}\n"))
        with rig.drop_in(SERVICE, settings):
            rig.run("sh", "-c", f"rm -f {folder}/*.log*")
            rig.systemctl("start", SERVICE)
            rig.ask("get", "4000")
            wait_for("a line", lambda: rig.run("cat", f"{folder}/access.log"))
            rig.run("logrotate", "--force", "--state", "/run/rotated", str(rules))
            rig.ask("get", "4000")
            rig.systemctl("stop", SERVICE)
            _ended_well(rig)
        lines = [
            len(rig.run("cat", f"{folder}/{name}").splitlines())
            for name in ("access.log", "access.log.1")
        ]
        assert lines == [expected, 2 - expected], f"{create}: {lines}"
        told = rig.run("cat", f"{folder}/server.log.1")
        assert ("not reopened" in told) == (expected == 0), told
    rig.write(rules, shipped)


def first_process(rig: Rig) -> None:
    """as the first process of a container it drains at SIGTERM, and beneath an init, too"""
    inits = ["", "tini --"] if shutil.which("tini") else [""]
    if len(inits) == 1:
        print("      skipped beneath an init: there is no tini")
    for init in inits:
        space = "unshare --pid --fork --mount-proc --kill-child"
        command = f"{space} {init} /usr/local/bin/httpool --listen 127.0.0.1:5003"
        # The first process is the child of unshare, which ends with its exit code.
        script = f'''
            rm -f /run/first.log && touch /run/first.log
            {command} 2>/run/first.log & outside=$!
            until grep -q listening /run/first.log; do sleep 0.1; done
            inside=$(cat /proc/$outside/task/$outside/children)
            kill -TERM $inside
            wait $outside
        '''
        assert rig.code("sh", "-c", script) == 0, f"{init} {rig.run('cat', '/run/first.log')}"
        said = rig.run("cat", "/run/first.log")
        assert ", 0 aborted" in said, said


def _everything_works(rig: Rig) -> None:
    rig.ask("echo", "4000", str(8 * 1024 * 1024))
    assert rig.ask("get", "9090", "/readyz") == "200 ready"
    figures = rig.ask("get", "9090", "/metrics").splitlines()
    assert 'httpool_requests_total{method="POST",status="2xx"} 1' in figures, figures
    for figure in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert any(line.startswith(f"{figure} ") for line in figures), figures


def _sandbox_holds(rig: Rig) -> None:
    pid = rig.tell(SERVICE, "MainPID")
    told = dict(
        line.split(":\t", 1)
        for line in rig.run("cat", f"/proc/{pid}/status").splitlines()
        if ":\t" in line
    )
    user = int(told["Uid"].split()[0])
    assert 61184 <= user <= 65519, f"the user is {user}"
    for capabilities in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
        assert int(told[capabilities], 16) == 0, told[capabilities]
    assert told["NoNewPrivs"] == "1"
    assert told["Seccomp"] == "2", "there is no filter of system calls"
    mounts = rig.run("cat", f"/proc/{pid}/mounts")
    root = [line.split() for line in mounts.splitlines() if line.split()[1] == "/"]
    assert root[-1][3].startswith("ro"), root


def low_port(rig: Rig) -> None:
    """port 80 with the one capability that the unit's comment names"""
    lines = (
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
        "PrivateUsers=no\n"
        "Environment=HTTPOOL_LISTEN=127.0.0.1:80"
    )
    with rig.drop_in(SERVICE, lines):
        rig.systemctl("start", SERVICE)
        assert rig.ask("get", "80").startswith("200 ")
        told = rig.run("cat", f"/proc/{rig.tell(SERVICE, 'MainPID')}/status")
        assert re.search(r"^CapEff:\t0000000000000400$", told, re.MULTILINE), told


def instances(rig: Rig) -> None:
    """several instances, each with settings of its own"""
    for name, port in (("a", 5001), ("b", 5002)):
        rig.write(Path(f"/etc/default/httpool-{name}"), f"HTTPOOL_LISTEN=127.0.0.1:{port}\n")
        rig.systemctl("start", f"httpool@{name}.service")
    for port in ("5001", "5002"):
        assert rig.ask("get", port).startswith("200 ")
    rig.systemctl("stop", "httpool@a.service")
    assert rig.ask("get", "5002").startswith("200 ")
    rig.systemctl("stop", "httpool@b.service")


ALL: list[Callable[[Rig], None]] = [
    verify, start_and_stop, status, journal, activation, restarts_under_load, draining, long_drain,
    stuck_drain, reload, watchdog, stuck_workers, absent_workers, crash,
    failing_start_behind_socket, hardening, site, credentials, logrotate, first_process, low_port,
    instances,
]  # fmt: skip


def choose(names: list[str]) -> list[Callable[[Rig], None]]:
    """The checks of these names, or all."""
    known = {check.__name__: check for check in ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no such check: {', '.join(unknown)}")
    return [known[name] for name in names] or ALL


def run(rig: Rig, chosen: list[Callable[[Rig], None]]) -> int:
    """These checks, and how many have failed."""
    failures = 0
    for check in chosen:
        try:
            check(rig)
        except Exception as error:  # One that fails must not hide the others.
            failures += 1
            where = traceback.extract_tb(error.__traceback__)[1].lineno
            print(f"FAIL  {check.__doc__}\n      {repr(error)[:MOST]}, at line {where}")
            print(rig.run("journalctl", "--no-pager", "-n", "15", "-o", "cat", check=False))
        else:
            print(f"ok    {check.__doc__}", flush=True)
        rig.end_clients()
        rig.run("systemctl", "stop", SOCKET, SERVICE, check=False)
        rig.run("systemctl", "reset-failed", check=False)
        rig.write(SETTINGS, "")
    return failures


def _is(rig: Rig, unit: str, what: str, expected: str) -> None:
    found = rig.tell(unit, what)
    assert found == expected, f"{what} of {unit} is {found} and not {expected}"


def _ended_well(rig: Rig) -> None:
    _is(rig, SERVICE, "Result", "success")
    # To have cut requests is a success for systemd (SuccessExitStatus=).
    _is(rig, SERVICE, "ExecMainStatus", "0")


def _monotonic(rig: Rig) -> float:
    return float(rig.run("cat", "/proc/uptime").split()[0])
