"""Headless Chromium, controlled over two pipes with the DevTools protocol."""

import base64
import fcntl
import json
import os
import select
import subprocess
import time

from checks import TIMEOUT

# With --remote-debugging-pipe, the browser reads commands and writes replies on these descriptors.
COMMANDS, REPLIES = 3, 4

FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check",
    "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)


class Browser:
    """A page of a browser, with its requests, responses and error messages."""

    def __init__(self, command, scratch, *flags):
        ours, theirs = _pipe(), _pipe()

        def connect():
            os.dup2(ours[0], COMMANDS)
            os.dup2(theirs[1], REPLIES)

        # The sandbox does not work for root; only our own server is visited.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        with open(os.path.join(scratch, "browser.log"), "wb") as log:
            self._process = subprocess.Popen(
                [command, *FLAGS, *flags, *sandbox, f"--user-data-dir={scratch}/profile", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=connect,
                close_fds=True, pass_fds=(COMMANDS, REPLIES))
        os.close(ours[0])
        os.close(theirs[1])
        self._out, self._in = ours[1], theirs[0]
        self._received = b""
        self._number = 0
        self._session = None
        self._events = []
        self.requests = []
        # The Referer of each, or None.
        self.referers = []
        # As the DevTools protocol describes them.
        self.responses = []
        # The statuses of the responses that have opened WebSockets.
        self.handshakes = []
        self.errors = []
        self.status = None

    def __enter__(self):
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call(
            "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)

    def visit(self, url, scheme="light", width=1000, height=600):
        """Loads a page with this colour scheme and screen size."""
        self._call("Emulation.setEmulatedMedia",
                   features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)
        self._call("Page.navigate", url="about:blank")
        self._wait_for("Page.loadEventFired")
        self.requests, self.referers, self.responses, self.errors = [], [], [], []
        self.status = None
        self.handshakes = []
        self._call("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def screenshot(self):
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def forget_cookies(self):
        self._call("Network.clearBrowserCookies")

    def evaluate(self, expression):
        """Evaluates a JavaScript expression on the page as if its user had caused it. Waits for a promise."""
        reply = self._call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True, userGesture=True)
        if "exceptionDetails" in reply:
            raise AssertionError(f"{expression}: {reply['exceptionDetails']}")
        return reply["result"].get("value")

    def choose_file(self, selector, *paths):
        """Chooses files in an input of the page."""
        root = self._call("DOM.getDocument")["root"]["nodeId"]
        node = self._call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def submit(self, selector):
        """Submits a form of the page as its button does, and waits for the next page."""
        self._events = []
        self.errors, self.status = [], None
        self.evaluate(f"document.querySelector('{selector}').requestSubmit()")
        self._wait_for("Page.loadEventFired")

    def _call(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data):]
        while True:
            reply = self._receive()
            if reply.get("id") == self._number:
                if "error" in reply:
                    raise AssertionError(f"{method}: {reply['error']}")
                return reply["result"]
            self._note(reply)

    def _wait_for(self, method):
        while not any(event["method"] == method for event in self._events):
            self._note(self._receive())
        self._events = []

    def _note(self, event):
        self._events.append(event)
        method, what = event["method"], event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
            self.referers.append(what["request"]["headers"].get("Referer"))
        elif method == "Network.responseReceived":
            self.responses.append(what["response"])
            if what["type"] == "Document":
                self.status = what["response"]["status"]
        elif method == "Network.webSocketHandshakeResponseReceived":
            self.handshakes.append(what["response"]["status"])
        elif method == "Log.entryAdded" and what["entry"]["source"] != "network":
            self.errors.append(what["entry"]["text"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.errors.append(str(what))
        elif method == "Page.javascriptDialogOpening":
            raise AssertionError(f"a script of the page opened a dialog: {what['message']}")

    def _receive(self):
        deadline = time.monotonic() + TIMEOUT
        while b"\0" not in self._received:
            left = max(0, deadline - time.monotonic())
            if not select.select([self._in], [], [], left)[0]:
                raise AssertionError(f"the browser sends nothing for {TIMEOUT} s")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise AssertionError("the browser has ended")
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)


def _pipe():
    """A pipe whose descriptors do not collide with COMMANDS and REPLIES."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved
