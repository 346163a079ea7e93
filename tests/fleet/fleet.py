"""Three instances on addresses of their own, a proxy in front of them, and clients."""

import ctypes
import http.client
import re
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from checks import PATIENCE, wait_for
from httpool import Server, unread
from proxy import CLIENTS, Load, Proxy

# As haproxy.cfg and nginx.conf have them, and how many idle connections they keep to a server.
ADDRESSES = {"one": "127.0.0.11", "two": "127.0.0.12", "three": "127.0.0.13"}
KEPT = 8


def may_filter():
    """Whether the system lets this user filter what comes to a socket, as a server does before it
    closes its port. One that may not resets whoever is shaking hands with it."""
    attach_filter, take_all = 26, struct.pack("HBBI", 0x06, 0, 0, 0xFFFFFFFF)
    code = ctypes.create_string_buffer(take_all)
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, attach_filter,
                             struct.pack("HP", 1, ctypes.addressof(code)))
        except PermissionError:
            return False
    return True


class Instance:
    """One place of the fleet, with the server that runs there now."""

    def __init__(self, run, name, port, admin_port, flags):
        self.name = name
        self.address = ADDRESSES[name]
        self.port = port
        self.admin_port = admin_port
        self._run = run
        self._flags = flags
        self.start()

    def start(self):
        self.server = self._run("--admin", f"{self.address}:{self.admin_port}", *self._flags,
                                listen=f"{self.address}:{self.port}")
        admin = next(line for line in self.server.log if "health and metrics on" in line)
        # The same ones at the next start, if these were 0.
        self.port = self.server.port
        self.admin_port = int(re.search(r":(\d+)$", admin)[1])

    def answered(self):
        """The requests that it says it has answered."""
        connection = http.client.HTTPConnection(self.address, self.admin_port, timeout=PATIENCE)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return int(re.search(r"^httpool_requests_answered_total (\d+)$", text, re.MULTILINE)[1])

    def unread(self):
        """The connections to it on which something has come that it has not read."""
        return unread(self.address, self.port)


class Fleet:
    """Three instances that differ in their addresses only."""

    def __init__(self, program, scratch, *flags):
        run = partial(Server, program, scratch)
        self._instances = []
        # The first one takes ports that are free, and the others the same ones elsewhere.
        self.port = self.admin_port = 0
        try:
            for name in ADDRESSES:
                instance = Instance(run, name, self.port, self.admin_port, flags)
                self._instances.append(instance)
                self.port, self.admin_port = instance.port, instance.admin_port
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for instance in self._instances:
            instance.server.end()

    def __iter__(self):
        return iter(self._instances)

    def __getitem__(self, name):
        return next(instance for instance in self if instance.name == name)


class Balancer(Proxy):
    """A proxy with a configuration of this directory."""

    directory = Path(__file__).resolve().parent

    def values(self, fleet):
        return {"PORT": fleet.port, "ADMIN_PORT": fleet.admin_port}

    def sees(self, instance):
        """What HAProxy thinks of an instance."""
        return self.statistics("fleet", instance.name)["status"]

    def retries(self):
        """How often HAProxy has tried again, at the same server or at another one."""
        rows = [self.statistics("fleet", name) for name in ADDRESSES]
        return sum(int(row["wretr"]) + int(row["wredis"]) for row in rows)


class Clients(Load):
    """They ask one request after another, until they are told to stop."""

    def __init__(self, proxy):
        super().__init__(proxy, sys.maxsize)
        self.slowest = 0
        self._pace = threading.Condition()
        self._standing = 0
        self._is_paused = False
        self._is_over = False

    def __enter__(self):
        self._pool = ThreadPoolExecutor(1)
        self._run = self._pool.submit(self.run)
        return self

    def __exit__(self, *_):
        with self._pace:
            self._is_over = True
            self._pace.notify_all()
        self._pool.shutdown()
        # A client that could not go on says why.
        self._run.result()

    def goes_on(self):
        with self._pace:
            self._standing += 1
            self._pace.notify_all()
            self._pace.wait_for(lambda: self._is_over or not self._is_paused)
            self._standing -= 1
            return not self._is_over

    def ask(self, *request):
        begun = time.monotonic()
        outcome = super().ask(*request)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return outcome

    def hold(self):
        """No request begins any more."""
        with self._pace:
            self._is_paused = True

    def wait_until_still(self):
        """Until no request is under way."""
        with self._pace:
            if not self._pace.wait_for(lambda: self._standing == CLIENTS, PATIENCE):
                raise AssertionError(f"{CLIENTS - self._standing} clients wait for their answers")

    def resume(self):
        with self._pace:
            self._is_paused = False
            self._pace.notify_all()

    def wait_for_more(self, count):
        """Until so many more requests have had their outcome."""
        wanted = self.so_far() + count
        wait_for(f"{count} more requests", lambda: self.so_far() >= wanted)
