"""A running example of this crate."""

import re
import select
import subprocess
import time

from checks import TIMEOUT, expect


class Example:
    def __init__(self, program, address="127.0.0.1:0"):
        self._process = subprocess.Popen(
            [program, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not select.select([self._process.stdout], [], [], TIMEOUT)[0]:
            raise AssertionError("the example does not listen")
        self.address = re.search(r"http://([\d.:]+)", self._process.stdout.readline())[1]

    def stop(self):
        """Closes its input, and returns its report of the drain."""
        return self._process.communicate(timeout=TIMEOUT)[0]

    def kill(self):
        self._process.kill()
        self._process.wait()


def until(browser, expression, expected, what):
    """Waits until a JavaScript expression on the page has this value."""
    deadline = time.monotonic() + TIMEOUT
    while browser.evaluate(expression) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    expect(browser.evaluate(expression), expected, what)
