"""The inspector as a process, and what all of its checks use."""

import json
import re
import select
import ssl
import subprocess
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from checks import TIMEOUT
from example import until

STATE = "document.getElementById('state')?.dataset.state"
TARGETS = "[...document.querySelectorAll('.row .path')].map(element => element.textContent)"
# The words of the first row, behind its time.
ROW = "document.querySelector('.row')?.innerText.split(/\\s+/).slice(1).join(' ')"
DETAILS = "document.getElementById('details').textContent"

# The title of a request that could not be read.
HEADLESS = "A request without a readable head"


class Server:
    """The program, on an address that stays the same over a restart."""

    def __init__(self, program, address="127.0.0.1:0", *flags):
        self._process = subprocess.Popen(
            [program, "--inspect", "--listen", address, "--drain-timeout", "5s", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        line = self._line()
        # An address of TLS is the one to test, if the flags ask for it.
        self.url = re.findall(r"https?://[\d.:]+\d", line)[-1]
        self.address = self.url.split("://")[1]
        self.plain_address = re.search(r"http://([\d.:]+\d)", line)[1]

    def _line(self):
        if not select.select([self._process.stdout], [], [], TIMEOUT)[0]:
            raise AssertionError(f"the server prints nothing for {TIMEOUT} s")
        return self._process.stdout.readline().decode()

    def send(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with urlopen(request, timeout=TIMEOUT, context=UNVERIFIED) as response:
                return response.status, response.read()
        except HTTPError as error:
            return error.code, error.read()

    def resident(self):
        """The memory of the process in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    def stop(self):
        """Shuts it down, and returns what it printed last."""
        self._process.terminate()
        return self._process.communicate(timeout=TIMEOUT)[0].decode()

    def kill(self):
        self._process.kill()
        self._process.wait()


# The certificate of a test is its own.
UNVERIFIED = ssl.create_default_context()
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE


def press(browser, key):
    browser.evaluate(
        "(document.activeElement ?? document.body).dispatchEvent("
        f"new KeyboardEvent('keydown', {{key: {json.dumps(key)}, bubbles: true, cancelable: true}}))")


def click(browser, selector):
    browser.evaluate(f"document.querySelector({json.dumps(selector)}).click()")


def type_into(browser, selector, text):
    browser.evaluate(
        f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
        f" field.value = {json.dumps(text)};"
        " field.dispatchEvent(new Event('input', {bubbles: true})); })()")


def open_page(browser, url, **settings):
    browser.visit(url, **settings)
    until(browser, STATE, "live", "the state of the page")


def choose(browser, title):
    """Shows the newest request, when it is there."""
    path = title.split(" ", 1)[1] if title != HEADLESS else "(no readable head)"
    until(browser, f"{TARGETS}[0]", path, "the first row")
    click(browser, ".row")
    until(browser, "document.querySelector('.request h2')?.textContent", title, "title")
