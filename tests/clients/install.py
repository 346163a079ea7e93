"""Gets the clients that are not here."""

import importlib.util
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent

UNDICI = "6.29.1"

# As it was when the run began, with the way to the registries.
ENVIRONMENT = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}

# The Debian package of a command.
PACKAGES = {"curl": "curl", "node": "nodejs", "npm": "npm", "nginx": "nginx", "haproxy": "haproxy"}

# Asked by every package that would start a service.
POLICY = Path("/usr/sbin/policy-rc.d")


def debian(commands):
    """Installs what is missing of these, if that is allowed. If not, their families will say so."""
    packages = [PACKAGES[command] for command in sorted(commands) if not shutil.which(command)]
    if importlib.util.find_spec("pip") is None:
        packages.append("python3-pip")
    if not packages or os.geteuid() != 0:
        return
    with no_services():
        # One by one, so that one that can't be had stops no other.
        _run(["apt-get", "update"])
        for package in packages:
            reason = _run(["apt-get", "install", "-y", "--no-install-recommends", package])
            print(f"{package}: {reason or 'installed'}", flush=True)


def requests(scratch):
    """Makes it importable, or says why not."""
    target = Path(scratch, "python")
    reason = _run([sys.executable, "-m", "pip", "install", "--disable-pip-version-check",
                   "--target", target, "--requirement", HERE / "requirements.txt"])
    if reason is None:
        sys.path.insert(0, str(target))
    return reason


def undici(scratch):
    """Makes it requirable from the directory `node`, or says why not."""
    target = Path(scratch, "node")
    target.mkdir()
    return _run(["npm", "install", "--prefix", target, "--no-audit", "--no-fund",
                 "--ignore-scripts", f"undici@{UNDICI}"])


@contextmanager
def no_services():
    """The servers are installed for their programs; nothing must begin to listen."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _run(command):
    """Runs it, and returns the first error that it tells if it fails."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300, env=ENVIRONMENT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    said = [line for line in done.stdout.splitlines() if line.strip()]
    errors = [line for line in said if line.lower().startswith(("e:", "error", "npm err"))]
    return (errors + said[-1:] + [f"exit code {done.returncode}"])[0]
