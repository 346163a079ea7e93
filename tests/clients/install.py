"""Installs missing clients."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent

UNDICI = "6.29.1"

WS = "8.23.0"

HAR_VALIDATOR = "5.1.5"

# The client of HTTP/2 in version 6 is experimental, and version 7 needs a newer Node.
UNDICI_HTTP2 = "7.30.2"
UNDICI_HTTP2_NODE = (20, 18)

# The environment at the start, with the proxy settings that reach the registries.
ENVIRONMENT = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]

# The Debian package of a command.
PACKAGES = {
    "curl": "curl", "go": "golang-go", "h2load": "nghttp2-client", "haproxy": "haproxy", "nghttp": "nghttp2-client",
    "nginx": "nginx", "node": "nodejs", "npm": "npm",
}

# Debian packages ask it whether they may start a service.
POLICY = Path("/usr/sbin/policy-rc.d")


def debian(commands):
    """Installs missing Debian packages as root. Other users' families are skipped with a reason."""
    missing = {PACKAGES[command] for command in commands if not shutil.which(command)}
    packages = sorted(missing)
    if importlib.util.find_spec("pip") is None:
        packages.append("python3-pip")
    if not packages or os.geteuid() != 0:
        return
    with no_services():
        # One by one, so that a failure does not affect the others.
        _run(["apt-get", "update"])
        for package in packages:
            reason = _run(["apt-get", "install", "-y", "--no-install-recommends", package])
            print(f"{package}: {reason or 'installed'}", flush=True)


@functools.cache
def python(scratch):
    """Installs the Python libraries. Returns the reason if it fails."""
    target = Path(scratch, "python")
    reason = _run([*PIP, "install", "--target", target,
                   "--requirement", HERE / "requirements.txt"])
    if reason is None:
        sys.path.insert(0, str(target))
    return reason


@functools.cache
def suites(scratch):
    """Installs the libraries of each list for `suites.py`. Returns the reason if it fails."""
    for name in ("suites", "suites_niquests"):
        reason = _run([*PIP, "install", "--target", Path(scratch, name),
                       "--requirement", HERE / f"{name}.txt"])
        if reason:
            return reason
    return None


def source(package, folder, libraries):
    """Downloads the source of a package from PyPI into an empty folder. Returns its archive."""
    folder.mkdir(parents=True)
    # pip reads the name in the source with the package's build tool, which is one of the libraries.
    reason = _run([*PIP, "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
                   "--dest", folder, package], {"PYTHONPATH": str(libraries)})
    if reason:
        raise OSError(reason)
    [archive] = folder.iterdir()
    return archive


@functools.cache
def undici(scratch):
    """Installs undici into the directory `node`. Returns the reason if it fails."""
    return _npm(Path(scratch, "node"), f"undici@{UNDICI}")


@functools.cache
def undici_http2(scratch):
    """Installs a newer undici into `node-http2`. Returns the reason if it fails."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    if tuple(map(int, version.lstrip("v").split(".")[:2])) < UNDICI_HTTP2_NODE:
        return f"undici {UNDICI_HTTP2} does not run on Node {version}"
    return _npm(Path(scratch, "node-http2"), f"undici@{UNDICI_HTTP2}")


def ws(scratch):
    """Installs ws into the directory `ws`. Returns the reason if it fails."""
    return _npm(Path(scratch, "ws"), f"ws@{WS}")


def har_validator(scratch):
    """Installs har-validator into `har`. Returns the reason if it fails."""
    return _npm(Path(scratch, "har"), f"har-validator@{HAR_VALIDATOR}")


def _npm(target, package):
    target.mkdir()
    return _run(["npm", "install", "--prefix", target, "--no-audit", "--no-fund",
                 "--ignore-scripts", package])


@contextmanager
def no_services():
    """Keeps installed packages from starting their services."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _run(command, variables=None):
    """Runs a command. Returns its first error message if it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300,
                              env=ENVIRONMENT | (variables or {}))
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    output = [line for line in done.stdout.splitlines() if line.strip()]
    errors = [line for line in output if line.lower().startswith(("e:", "error", "npm err"))]
    return (errors + output[-1:] + [f"exit code {done.returncode}"])[0]
