"""A check has a name and a body that raises an exception on failure."""

import contextlib
import hashlib
import subprocess
import threading
import time

# The longest wait for one response, in seconds.
TIMEOUT = 20

# The longest run of a family of clients that is a process of its own, in seconds.
FAMILY_TIMEOUT = 60

OK = "  ok      "
FAILED = "  FAILED  "


class Checks:
    """The checks of one family of clients."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    @contextlib.contextmanager
    def __call__(self, name):
        try:
            yield
        except Exception as error:
            self.fail(f"{name}: {describe(error)}")
        else:
            self.passed += 1
            print(f"{OK}{name}", flush=True)

    def fail(self, what):
        self.failed += 1
        print(f"{FAILED}{what}", flush=True)

    def relay(self, command):
        """Runs a program that prints the lines of its checks, and counts them."""
        before = self.failed
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)
        limit = threading.Timer(FAMILY_TIMEOUT, process.kill)
        limit.start()
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                self.passed += line.startswith(OK)
                self.failed += line.startswith(FAILED)
            code = process.wait()
        finally:
            limit.cancel()
            process.kill()
            process.wait()
        if code != 0 and self.failed == before:
            self.fail(f"{command[0]} exited with code {code}")


def wait_for(what, look):
    """Waits until `look` returns something true, and returns that."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := look()):
        require(time.monotonic() < deadline, f"not within {TIMEOUT} s: {what}")
        time.sleep(0.005)
    return found


def require(condition, message):
    if not condition:
        raise AssertionError(message)


def expect(actual, expected, what):
    require(actual == expected, f"{what}: {show(actual)} instead of {show(expected)}")


def expect_in(part, whole, what):
    require(part in whole, f"{what}: no {show(part)} in {show(whole)}")


def show(value):
    """Short enough for a line, with a digest to tell long bodies apart."""
    if isinstance(value, (bytes, str)) and len(value) > 200:
        data = value.encode() if isinstance(value, str) else value
        digest = hashlib.sha256(data).hexdigest()[:16]
        return f"{value[:60]!r}... ({len(value)} long, sha256 {digest}...)"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(show, value[:5]))}{', ...' if len(value) > 5 else ''})"
    return repr(value)


def describe(error):
    if isinstance(error, AssertionError):
        return str(error)
    return f"{type(error).__name__}: {error}"
