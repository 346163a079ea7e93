"""An example of this crate that pages talk to."""

import re
import select
import subprocess
import time

from checks import PATIENCE, expect


class Example:
    def __init__(self, program, address="127.0.0.1:0"):
        self._process = subprocess.Popen(
            [program, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise AssertionError("the example does not listen")
        self.address = re.search(r"http://([\d.:]+)", self._process.stdout.readline())[1]

    def stop(self):
        """Closes its input, and returns what it says of its drain."""
        return self._process.communicate(timeout=PATIENCE)[0]

    def kill(self):
        self._process.kill()
        self._process.wait()


def until(browser, expression, expected, what):
    """Waits until some script's expression on the page has this value."""
    deadline = time.monotonic() + PATIENCE
    while browser.ask(expression) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    expect(browser.ask(expression), expected, what)
