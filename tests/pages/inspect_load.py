"""The live page while ten thousand requests arrive each second."""

import socket
import threading
import time

from checks import TIMEOUT, expect, require
from example import until
from inspect_server import STATE, click, open_page, press

# Each connection sends this many requests at once. They are bounded in number and time.
PIPELINED = 100
CONNECTIONS = 4
SECONDS = 4
RATE = 10_000
BATCHES = RATE * SECONDS // PIPELINED // CONNECTIONS

# The server keeps 16 MiB of requests. This leaves room for everything else.
MAX_RESIDENT = 200 * 1024 * 1024


class Load:
    """Clients that send at the rate, or as fast as they can if that is slower."""

    def __init__(self, address):
        host, port = address.split(":")
        self._address = host, int(port)
        # The responses to HEAD end with their heads, which is quick to find.
        self._batch = (f"HEAD /load HTTP/1.1\r\nHost: {address}\r\nX-Fill: {'x' * 500}\r\n\r\n"
                       * PIPELINED).encode()
        self.errors = []
        self.sent = 0
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self._threads = [threading.Thread(target=self._run) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    def join(self):
        """Waits for the end, and returns the requests per second."""
        for thread in self._threads:
            thread.join()
        return self.sent / (time.monotonic() - self._begin)

    def _run(self):
        try:
            with socket.create_connection(self._address, timeout=TIMEOUT) as connection:
                for number in range(BATCHES):
                    early = self._begin + number * SECONDS / BATCHES - time.monotonic()
                    if early > 0:
                        time.sleep(early)
                    elif early < -SECONDS:
                        return
                    self._exchange(connection)
        except OSError as error:
            self.errors.append(error)

    def _exchange(self, connection):
        connection.sendall(self._batch)
        ends, last = 0, b""
        while ends < PIPELINED:
            more = connection.recv(1 << 20)
            if not more:
                raise OSError("the server has closed the connection")
            # An end may be in two parts.
            ends += (last + more).count(b"\r\n\r\n")
            last = more[-3:]
        with self._lock:
            self.sent += PIPELINED


def run(checks, server, browser):
    title = "document.querySelector('.request h2')?.textContent"
    count = "document.getElementById('count').title"
    rate = 0
    with checks("a page stays usable under load"):
        open_page(browser, f"{server.url}/inspect")
        before = int(browser.evaluate(count).split()[0])
        load = Load(server.plain_address)
        time.sleep(1)
        begin = time.monotonic()
        click(browser, "#pause")
        until(browser, STATE, "paused", "the state of the page")
        click(browser, ".row")
        until(browser, title, "HEAD /load", "title")
        waited = time.monotonic() - begin
        rows = browser.evaluate("document.querySelectorAll('.row').length")
        press(browser, "p")
        rate = load.join()
        print(f"          {rate:.0f} requests/s, a click was answered in {waited * 1000:.0f} ms, "
              f"{rows} rows, {server.resident() / 1e6:.0f} MB")
        expect(load.errors, [], "errors of the clients")
        require(rows < 100, f"{rows} rows exist at once")
        require(server.resident() < MAX_RESIDENT, f"{server.resident()} bytes of memory")
        until(browser, f"{count}.startsWith('{before + load.sent} ')", True,
              "whether the page knows of all requests")
        expect(browser.errors, [], "the browser's error messages")
    if rate < 0.95 * RATE:
        print(f"          skipped: {RATE} requests/s, because this machine reaches {rate:.0f}")
        return
    with checks(f"the load was {RATE} requests/s"):
        pass
