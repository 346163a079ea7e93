"""A running example of this crate."""

import re
import select
import subprocess
import time

from checks import TIMEOUT, expect


class Example:
    def __init__(self, program, *arguments, address="127.0.0.1:0"):
        # Without a buffer, so that `select` sees all that is unread.
        self._process = subprocess.Popen(
            [program, *arguments, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            bufsize=0)
        self.address = re.search(r"https?://([\d.:]+)", self.line())[1]

    def line(self):
        """The next line that it prints."""
        if not select.select([self._process.stdout], [], [], TIMEOUT)[0]:
            raise AssertionError(f"the example prints nothing for {TIMEOUT} s")
        return self._process.stdout.readline().decode()

    def stop(self):
        """Closes its input, and returns its report of the drain."""
        return self._process.communicate(timeout=TIMEOUT)[0].decode()

    def terminate(self):
        """Sends SIGTERM, and returns its report of the drain."""
        self._process.terminate()
        return self.stop()

    def kill(self):
        self._process.kill()
        self._process.wait()


def until(browser, expression, expected, what):
    """Waits until a JavaScript expression on the page has this value."""
    deadline = time.monotonic() + TIMEOUT
    while browser.evaluate(expression) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    expect(browser.evaluate(expression), expected, what)
