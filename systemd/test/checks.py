"""The checks: each does with the units what an operator does, and tests the result."""

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

# Longest output of a failed check, in characters.
MAX_OUTPUT = 2000

# Attempts to freeze all workers while they run a handler.
ATTEMPTS = 20


def verify(rig: Rig) -> None:
    """the units are valid and have no unknown settings"""
    names = [str(UNITS / name) for name in (SERVICE, SOCKET, "httpool@a.service")]
    output = rig.run("systemd-analyze", "verify", "--man=no", *names)
    assert output == "", output


def start_and_stop(rig: Rig) -> None:
    """start returns once the server responds; stop returns after a clean exit"""
    slow = "ExecStart=\nExecStart=sh -c 'sleep 1; exec /usr/local/bin/httpool'"
    with rig.drop_in(SERVICE, slow):
        start = _monotonic(rig)
        rig.systemctl("start", SERVICE)
        assert rig.run_client("get", "4000").startswith("200 ")
        took = _monotonic(rig) - start
        assert took >= 1, f"the first response came after {took} s"
        rig.systemctl("stop", SERVICE)
        _expect_clean_exit(rig)
        _expect(rig, SERVICE, "ActiveState", "inactive")


def status(rig: Rig) -> None:
    """the status line shows connections, workers and responses"""

    def wait_for_status(shown: str) -> None:
        wait_for("the status", lambda: rig.property(SERVICE, "StatusText") == shown)
        assert shown in rig.systemctl("status", SERVICE)

    rig.write(SETTINGS, "HTTPOOL_WORKERS=1\n")
    rig.systemctl("start", SERVICE)
    wait_for_status("serving: 0 connections, 0 of 1 workers busy, 0 responses")
    for _ in range(3):
        rig.run_client("echo", "4000", "10")
    wait_for_status("serving: 0 connections, 0 of 1 workers busy, 3 responses")
    upload = rig.client("upload", "4000", "1000000")
    assert upload.stdout and upload.stdout.readline() == "half\n"
    wait_for_status("serving: 1 connections, 0 of 1 workers busy, 3 responses")
    with _busy(rig, "serving: 2 connections, 1 of 1 workers busy"):
        assert "1 of 1 workers busy" in rig.systemctl("status", SERVICE)
    upload.kill()
    rig.systemctl("stop", SERVICE)


def journal(rig: Rig) -> None:
    """log lines have their priorities in the journal"""
    rig.systemctl("start", SERVICE)
    rig.systemctl("stop", SERVICE)
    output = rig.run("journalctl", "--no-pager", "-o", "json", "-u", SERVICE, "_COMM=httpool")
    lines = [json.loads(line) for line in output.splitlines()]
    listening = [line for line in lines if "listening on" in line["MESSAGE"]]
    assert listening and listening[-1]["PRIORITY"] == "6", lines[-3:]
    assert not listening[-1]["MESSAGE"].startswith("<"), listening[-1]["MESSAGE"]


def activation(rig: Rig) -> None:
    """the first connection starts the service behind its socket"""
    rig.systemctl("start", SOCKET)
    _expect(rig, SERVICE, "ActiveState", "inactive")
    assert rig.run_client("get", "4000").startswith("200 ")
    _expect(rig, SERVICE, "ActiveState", "active")
    rig.systemctl("stop", SOCKET, SERVICE)


def restarts_under_load(rig: Rig) -> None:
    """restarts with the socket lose no request and refuse no client"""
    # Records how each run ended, because systemd forgets it when the next run starts.
    records = "ExecStopPost=sh -c 'echo ended: $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS'"
    with rig.drop_in(SERVICE, f"{records}\nEnvironment=HTTPOOL_HTTP2=on"):
        rig.systemctl("start", SOCKET)
        load, streams = rig.client("load", "4000"), rig.client("load-http2", "4000")
        for _ in range(RESTARTS):
            served = re.compile(r"[1-9]\d\d+ responses")
            wait_for("a load", lambda: served.search(rig.property(SERVICE, "StatusText")))
            before = rig.property(SERVICE, "MainPID")
            rig.systemctl("restart", SERVICE)
            assert rig.property(SERVICE, "MainPID") != before
        responses, over_http2 = _end_load(load), _end_load(streams)
        rig.systemctl("stop", SOCKET, SERVICE)
        wait_for("the end of each run", lambda: len(_run_ends(rig)) == RESTARTS + 1)
        assert set(_run_ends(rig)) == {"ended: success exited 0"}, _run_ends(rig)
    print(f"      {responses} responses during {RESTARTS} restarts, {over_http2} over HTTP/2")


def _run_ends(rig: Rig) -> list[str]:
    output = rig.run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE)
    return [line for line in output.splitlines() if line.startswith("ended: ")]


def _end_load(load: subprocess.Popen[str]) -> int:
    """Ends the load, checks that no request failed, and returns the number of responses."""
    output, _ = load.communicate("", timeout=30)
    counts = json.loads(output)
    responses, late = counts.pop("responses"), counts.pop("late", 0)
    assert not counts and responses > 500 and late < responses / 100, output
    return responses


def draining(rig: Rig) -> None:
    """stop waits for an open upload, and the status line shows it"""
    rig.systemctl("start", SERVICE)
    upload = rig.client("upload", "4000", "1000000")
    assert upload.stdout and upload.stdout.readline() == "half\n"
    rig.systemctl("stop", "--no-block", SERVICE)
    wait_for(
        "the status of a drain",
        lambda: rig.property(SERVICE, "StatusText").startswith("draining: 1 connections,"),
    )
    output, _ = upload.communicate("go on\n", timeout=20)
    assert output == "whole\n", output
    wait_for("the end", lambda: rig.property(SERVICE, "ActiveState") == "inactive")
    _expect_clean_exit(rig)


def long_drain(rig: Rig) -> None:
    """stop waits for a drain delay longer than TimeoutStopSec="""
    with rig.drop_in(SERVICE, "TimeoutStopSec=3s\nEnvironment=HTTPOOL_DRAIN_DELAY=5s"):
        rig.systemctl("start", SERVICE)
        start = _monotonic(rig)
        rig.systemctl("stop", SERVICE)
        took = _monotonic(rig) - start
        assert took >= 5, f"stop returned after {took} s"
        _expect_clean_exit(rig)


def stuck_drain(rig: Rig) -> None:
    """a drain without progress is killed at its deadline"""
    settings = "TimeoutStopSec=1s\nEnvironment=HTTPOOL_DRAIN_TIMEOUT=0s"
    with rig.drop_in(SERVICE, settings):
        rig.systemctl("start", SERVICE)
        # The first thread is the acceptor. All other threads continue.
        with rig.frozen(int(rig.property(SERVICE, "MainPID"))):
            rig.systemctl("stop", SERVICE)
        _expect(rig, SERVICE, "Result", "timeout")


def reload(rig: Rig) -> None:
    """reload returns once rotated logs are reopened, and keeps the process"""
    log, lines = "/var/log/httpool/log", "/var/log/httpool/access"
    settings = f"Environment=HTTPOOL_LOG_FILE={log} HTTPOOL_ACCESS_LOG={lines}"
    with rig.drop_in(SERVICE, f"LogsDirectory=httpool\n{settings}"):
        rig.systemctl("start", SERVICE)
        pid = rig.property(SERVICE, "MainPID")
        for rotation in range(ROTATIONS):
            assert rig.run_client("get", "4000").startswith("200 ")
            # One shell, so that no process starts between the reload and the test.
            rotated = f"mv {log} {log}.{rotation} && mv {lines} {lines}.{rotation}"
            opened = f"[ -e {lines} ] && read -r line <{log}"
            rig.run("sh", "-c", f"{rotated} && systemctl reload {SERVICE} && {opened}")
            _expect(rig, SERVICE, "ActiveState", "active")
            _expect(rig, SERVICE, "MainPID", pid)
        rig.systemctl("stop", SERVICE)
        _expect_clean_exit(rig)
        requests = rig.run("sh", "-c", f"cat {lines}*").splitlines()
        assert len(requests) == ROTATIONS, requests


def watchdog(rig: Rig) -> None:
    """the watchdog restarts a server whose acceptor hangs, and no other"""
    with rig.drop_in(SERVICE, "WatchdogSec=1s\nRestartSec=100ms"):
        rig.systemctl("start", SERVICE)
        start = _monotonic(rig)
        wait_for("three seconds", lambda: _monotonic(rig) > start + 3)
        _expect(rig, SERVICE, "NRestarts", "0")
        # The first thread is the acceptor. All other threads continue.
        with rig.frozen(int(rig.property(SERVICE, "MainPID"))):
            _expect_restart(rig)


def stuck_workers(rig: Rig) -> None:
    """the watchdog restarts a server whose workers all hang in a handler"""
    with rig.drop_in(SERVICE, "WatchdogSec=3s\nRestartSec=100ms\nEnvironment=HTTPOOL_WORKERS=2"):
        rig.systemctl("start", SERVICE)
        with _busy(rig, "2 connections, 2 of 2 workers busy"):
            _expect_restart(rig)


def absent_workers(rig: Rig) -> None:
    """the watchdog restarts a server whose workers ignore waiting clients"""
    settings = "Environment=HTTPOOL_WORKERS=2 HTTPOOL_HEAD_TIMEOUT=1s"
    with rig.drop_in(SERVICE, f"WatchdogSec=1s\nRestartSec=100ms\n{settings}"):
        rig.systemctl("start", SERVICE)
        with rig.frozen(*_workers(rig)):
            start = _monotonic(rig)
            wait_for("two seconds", lambda: _monotonic(rig) > start + 2)
            _expect(rig, SERVICE, "NRestarts", "0")
            clients = [rig.client("get", "4000") for _ in range(3)]
            _expect_restart(rig)
        for client in clients:
            client.communicate()


def _expect_restart(rig: Rig) -> None:
    """Waits until the watchdog has restarted the server, and it responds again."""
    run = rig.property(SERVICE, "InvocationID")
    wait_for("a restart", lambda: rig.property(SERVICE, "NRestarts") == "1")
    wait_for("the new server", lambda: rig.property(SERVICE, "ActiveState") == "active")
    assert rig.run_client("get", "4000").startswith("200 ")
    assert "Watchdog timeout" in rig.run("journalctl", "--no-pager", f"INVOCATION_ID={run}")


def _workers(rig: Rig) -> list[int]:
    pid = rig.property(SERVICE, "MainPID")
    names = rig.run("sh", "-c", f"cd /proc/{pid}/task && grep ^httpool- */comm")
    return [int(line.split("/")[0]) for line in names.splitlines()]


@contextlib.contextmanager
def _busy(rig: Rig, status: str) -> Iterator[None]:
    """Freezes every worker in a handler; the status line has this text."""
    clients = [rig.client("busy", "4000") for _ in _workers(rig)]
    with contextlib.ExitStack() as frozen:
        frozen.callback(lambda: [client.kill() for client in clients])
        for _ in range(ATTEMPTS):
            held = frozen.enter_context(contextlib.ExitStack())
            held.enter_context(rig.frozen(*_workers(rig)))
            # The status line changes once a second.
            start = _monotonic(rig)
            wait_for("a moment", lambda: _monotonic(rig) > start + 1.2)
            if status in rig.property(SERVICE, "StatusText"):
                break
            held.close()
        else:
            raise AssertionError(f"the status line never had: {status}")
        yield


def crash(rig: Rig) -> None:
    """a killed server is restarted; a server with a wrong setting is not"""
    with rig.drop_in(SERVICE, "RestartSec=100ms"):
        rig.systemctl("start", SERVICE)
        rig.run("kill", f"-{signal.SIGKILL.value}", rig.property(SERVICE, "MainPID"))
        wait_for("a restart", lambda: rig.property(SERVICE, "NRestarts") == "1")
        wait_for("the new server", lambda: rig.property(SERVICE, "ActiveState") == "active")
    with rig.drop_in(SERVICE, "RestartSec=100ms\nEnvironment=HTTPOOL_WORKERS=none"):
        assert rig.code("systemctl", "start", SERVICE) != 0
        wait_for("the failure", lambda: rig.property(SERVICE, "ActiveState") == "failed")
        _expect(rig, SERVICE, "ExecMainStatus", "2")
        _expect(rig, SERVICE, "NRestarts", "0")
        assert "HTTPOOL_WORKERS" in rig.run("journalctl", "--no-pager", "-u", SERVICE)


def failing_start_behind_socket(rig: Rig) -> None:
    """with the socket, a failed start is retried every two seconds and clients wait"""
    # A wrong value and a missing folder: exit codes 2 and 1.
    for setting in ("HTTPOOL_WORKERS=none", "HTTPOOL_ROOT=/no/such/folder"):
        before = _failures(rig)
        rig.write(SETTINGS, f"{setting}\n")
        rig.systemctl("start", SOCKET)
        client = rig.client("get", "4000")
        wait_for("the first try", lambda: _failures(rig) > before)
        start = _monotonic(rig)
        wait_for("seven seconds", lambda: _monotonic(rig) > start + 7)
        # The first try, and one every two seconds.
        tries = _failures(rig) - before
        assert 2 <= tries <= 5, f"{tries} tries in seven seconds with {setting}"
        _expect(rig, SOCKET, "ActiveState", "active")
        rig.write(SETTINGS, "")
        output, _ = client.communicate(timeout=20)
        assert output.startswith("200 "), output
        rig.systemctl("stop", SOCKET, SERVICE)


def _failures(rig: Rig) -> int:
    output = rig.run("journalctl", "--no-pager", "-o", "cat", "-u", SERVICE)
    return output.count("httpool.service: Main process exited")


def hardening(rig: Rig) -> None:
    """the server works in the sandbox, and the sandbox is active"""
    with rig.drop_in(SERVICE, "Environment=HTTPOOL_ADMIN=127.0.0.1:9090"):
        rig.systemctl("start", SERVICE)
        _expect_service(rig)
        _expect_sandbox(rig)
        rig.systemctl("stop", SERVICE)


def site(rig: Rig) -> None:
    """in the sandbox the server can serve a folder over TLS with an access log"""
    rig.write(Path("/srv/secret"), "secret")
    rig.write(SITE / "sub/page", "a page")
    for link, target in (("in", "sub/page"), ("out", "../secret"), ("far", "/srv/secret")):
        rig.run("ln", "-s", target, str(SITE / link))
    # Only root may read the key. systemd passes it to the service.
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
            assert rig.run_client("get", "4000", target) == "200 a page", target
            assert rig.run_client("tls", "4443", target, trusted) == "200 a page", target
        for target in ("/out", "/far"):
            assert rig.run_client("get", "4000", target).startswith("404 "), target
        wait_for("a line for each", lambda: len(rig.run("cat", lines).splitlines()) == 6)
        _expect_sandbox(rig)
        rig.systemctl("stop", SERVICE)
        _expect_clean_exit(rig)


def credentials(rig: Rig) -> None:
    """systemd passes a key that only root may read; a restart passes a renewed one"""
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
        assert rig.run_client("tls", "4443", "/", trusted).startswith("200 ")
        _make_certificate(rig, key, certificate)
        rig.systemctl("reload", SERVICE)
        _expect(rig, SERVICE, "ActiveState", "active")
        rig.systemctl("restart", SERVICE)
        assert rig.run_client("tls", "4443", "/", trusted).startswith("200 ")
        rig.systemctl("stop", SERVICE)
        _expect_clean_exit(rig)


def _make_certificate(rig: Rig, key: Path, certificate: Path) -> None:
    rig.run("mkdir", "-p", str(key.parent))
    rig.run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost",
    )  # fmt: skip


def logrotate(rig: Rig) -> None:
    """logrotate loses no line, with the shipped settings and with create"""
    if not shutil.which("logrotate"):
        print("      skipped: logrotate is not installed")
        return
    folder, rules = Path("/var/log/httpool"), Path("/etc/logrotate.d/httpool")
    shipped = rig.path(rules).read_text()
    settings = (
        "LogsDirectory=httpool\n"
        f"Environment=HTTPOOL_LOG_FILE={folder}/server.log HTTPOOL_ACCESS_LOG={folder}/access.log"
    )
    # The number of requests in the new file, out of one before and one after the rotation. The
    # service can't write to a file of another user, and then both are in the renamed file.
    for create, expected in (("nocreate", 1), ("create", 1), ("create 0640 root adm", 0)):
        rig.write(rules, shipped.replace("    nocreate\n", f"    {create}\n"))
        with rig.drop_in(SERVICE, settings):
            rig.run("sh", "-c", f"rm -f {folder}/*.log*")
            rig.systemctl("start", SERVICE)
            rig.run_client("get", "4000")
            wait_for("a line", lambda: rig.run("cat", f"{folder}/access.log"))
            rig.run("logrotate", "--force", "--state", "/run/rotated", str(rules))
            rig.run_client("get", "4000")
            rig.systemctl("stop", SERVICE)
            _expect_clean_exit(rig)
        lines = [
            len(rig.run("cat", f"{folder}/{name}").splitlines())
            for name in ("access.log", "access.log.1")
        ]
        assert lines == [expected, 2 - expected], f"{create}: {lines}"
        log = rig.run("cat", f"{folder}/server.log.1")
        assert ("not reopened" in log) == (expected == 0), log
    rig.write(rules, shipped)


def first_process(rig: Rig) -> None:
    """SIGTERM drains the first process of a container, and a child of an init"""
    inits = ["", "tini --"] if shutil.which("tini") else [""]
    if len(inits) == 1:
        print("      skipped for an init: tini is not installed")
    for init in inits:
        space = "unshare --pid --fork --mount-proc --kill-child"
        command = f"{space} {init} /usr/local/bin/httpool --listen 127.0.0.1:5003"
        # The first process is the child of unshare, which exits with the code of its child.
        script = f'''
            rm -f /run/first.log && touch /run/first.log
            {command} 2>/run/first.log & outside=$!
            until grep -q listening /run/first.log; do sleep 0.1; done
            inside=$(cat /proc/$outside/task/$outside/children)
            kill -TERM $inside
            wait $outside
        '''
        assert rig.code("sh", "-c", script) == 0, f"{init} {rig.run('cat', '/run/first.log')}"
        output = rig.run("cat", "/run/first.log")
        assert ", 0 aborted" in output, output


def _expect_service(rig: Rig) -> None:
    rig.run_client("echo", "4000", str(8 * 1024 * 1024))
    assert rig.run_client("get", "9090", "/readyz") == "200 ready"
    metrics = rig.run_client("get", "9090", "/metrics").splitlines()
    assert 'httpool_requests_total{method="POST",status="2xx"} 1' in metrics, metrics
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        assert any(line.startswith(f"{name} ") for line in metrics), metrics


def _expect_sandbox(rig: Rig) -> None:
    pid = rig.property(SERVICE, "MainPID")
    status_file = dict(
        line.split(":\t", 1)
        for line in rig.run("cat", f"/proc/{pid}/status").splitlines()
        if ":\t" in line
    )
    user = int(status_file["Uid"].split()[0])
    assert 61184 <= user <= 65519, f"the user is {user}"
    for capabilities in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh"):
        assert int(status_file[capabilities], 16) == 0, status_file[capabilities]
    assert status_file["NoNewPrivs"] == "1"
    assert status_file["Seccomp"] == "2", "no system call filter is active"
    mounts = rig.run("cat", f"/proc/{pid}/mounts")
    root = [line.split() for line in mounts.splitlines() if line.split()[1] == "/"]
    assert root[-1][3].startswith("ro"), root


def low_port(rig: Rig) -> None:
    """the server can listen on port 80 with the capability in the unit's comment"""
    lines = (
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"
        "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
        "PrivateUsers=no\n"
        "Environment=HTTPOOL_LISTEN=127.0.0.1:80"
    )
    with rig.drop_in(SERVICE, lines):
        rig.systemctl("start", SERVICE)
        assert rig.run_client("get", "80").startswith("200 ")
        status_file = rig.run("cat", f"/proc/{rig.property(SERVICE, 'MainPID')}/status")
        assert re.search(r"^CapEff:\t0000000000000400$", status_file, re.MULTILINE), status_file


def instances(rig: Rig) -> None:
    """several instances run with settings of their own"""
    for name, port in (("a", 5001), ("b", 5002)):
        rig.write(Path(f"/etc/default/httpool-{name}"), f"HTTPOOL_LISTEN=127.0.0.1:{port}\n")
        rig.systemctl("start", f"httpool@{name}.service")
    for port in ("5001", "5002"):
        assert rig.run_client("get", port).startswith("200 ")
    rig.systemctl("stop", "httpool@a.service")
    assert rig.run_client("get", "5002").startswith("200 ")
    rig.systemctl("stop", "httpool@b.service")


ALL: list[Callable[[Rig], None]] = [
    verify, start_and_stop, status, journal, activation, restarts_under_load, draining, long_drain,
    stuck_drain, reload, watchdog, stuck_workers, absent_workers, crash,
    failing_start_behind_socket, hardening, site, credentials, logrotate, first_process, low_port,
    instances,
]  # fmt: skip


def choose(names: list[str]) -> list[Callable[[Rig], None]]:
    """Returns the checks with these names, or all checks."""
    known = {check.__name__: check for check in ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"no such check: {', '.join(unknown)}")
    return [known[name] for name in names] or ALL


def run(rig: Rig, chosen: list[Callable[[Rig], None]]) -> int:
    """Runs these checks and returns the number of failures."""
    failures = 0
    for check in chosen:
        try:
            check(rig)
        except Exception as error:  # The other checks run after a failure.
            failures += 1
            where = traceback.extract_tb(error.__traceback__)[1].lineno
            print(f"FAIL  {check.__doc__}\n      {repr(error)[:MAX_OUTPUT]}, at line {where}")
            print(rig.run("journalctl", "--no-pager", "-n", "15", "-o", "cat", check=False))
        else:
            print(f"ok    {check.__doc__}", flush=True)
        rig.end_clients()
        rig.run("systemctl", "stop", SOCKET, SERVICE, check=False)
        rig.run("systemctl", "reset-failed", check=False)
        rig.write(SETTINGS, "")
    return failures


def _expect(rig: Rig, unit: str, name: str, expected: str) -> None:
    found = rig.property(unit, name)
    assert found == expected, f"{name} of {unit} is {found}, not {expected}"


def _expect_clean_exit(rig: Rig) -> None:
    _expect(rig, SERVICE, "Result", "success")
    # systemd also treats aborted requests as success (SuccessExitStatus=).
    _expect(rig, SERVICE, "ExecMainStatus", "0")


def _monotonic(rig: Rig) -> float:
    return float(rig.run("cat", "/proc/uptime").split()[0])
