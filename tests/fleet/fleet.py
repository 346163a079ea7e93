"""Three instances with an address each, a proxy in front of them, and clients."""

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

from checks import TIMEOUT, wait_for
from httpool import Server, unread
from proxy import CLIENTS, Load, Proxy

# As in haproxy.cfg and nginx.conf: the addresses, and the idle connections kept to a server.
ADDRESSES = {"one": "127.0.0.11", "two": "127.0.0.12", "three": "127.0.0.13"}
KEPT = 8


def may_filter():
    """Whether this user may attach a filter to a socket, as a server does before it closes its
    listener. Without the filter, clients in the middle of a TCP handshake are reset."""
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
    """A member of the fleet, with the server that currently runs there."""

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
        # A port of 0 becomes fixed for the next start.
        self.port = self.server.port
        self.admin_port = int(re.search(r":(\d+)$", admin)[1])

    def answered(self):
        """The number of responses in its metrics."""
        connection = http.client.HTTPConnection(self.address, self.admin_port, timeout=TIMEOUT)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return int(re.search(r"^httpool_requests_answered_total (\d+)$", text, re.MULTILINE)[1])

    def unread(self):
        """The number of connections to it with unread bytes."""
        return unread(self.address, self.port)


class Fleet:
    """Three instances that differ only in their addresses."""

    def __init__(self, program, scratch, *flags):
        run = partial(Server, program, scratch)
        self._instances = []
        # The first one chooses free ports, and the others use the same ones on their addresses.
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
    """A proxy with a configuration from this directory."""

    directory = Path(__file__).resolve().parent

    def values(self, fleet):
        return {"PORT": fleet.port, "ADMIN_PORT": fleet.admin_port, "PROTOCOL": self.protocol}

    def use_only(self, *names):
        """Makes HAProxy send all requests to these servers."""
        for name in ADDRESSES:
            state = "ready" if name in names else "maint"
            self.command(f"set server fleet/{name} state {state}")

    def state_of(self, instance):
        """HAProxy's state of an instance."""
        return self.statistics("fleet", instance.name)["status"]

    def retries(self):
        """How often HAProxy has retried, on the same server or on another one."""
        rows = [self.statistics("fleet", name) for name in ADDRESSES]
        return sum(int(row["wretr"]) + int(row["wredis"]) for row in rows)


class Clients(Load):
    """Clients that send request after request until they are stopped."""

    def __init__(self, proxy):
        super().__init__(proxy, sys.maxsize)
        self.slowest = 0
        self._pace = threading.Condition()
        self._waiting = 0
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
        # Raises the exception of a client that failed.
        self._run.result()

    def may_continue(self):
        with self._pace:
            self._waiting += 1
            self._pace.notify_all()
            self._pace.wait_for(lambda: self._is_over or not self._is_paused)
            self._waiting -= 1
            return not self._is_over

    def exchange(self, *request):
        begun = time.monotonic()
        outcome = super().exchange(*request)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return outcome

    def pause(self):
        """Starts no more requests."""
        with self._pace:
            self._is_paused = True

    def wait_until_idle(self):
        """Waits until no request is in flight."""
        with self._pace:
            if not self._pace.wait_for(lambda: self._waiting == CLIENTS, TIMEOUT):
                raise AssertionError(f"{CLIENTS - self._waiting} clients still wait")

    def resume(self):
        with self._pace:
            self._is_paused = False
            self._pace.notify_all()

    def wait_for_more(self, count):
        """Waits until `count` more requests have finished."""
        target = self.so_far() + count
        wait_for(f"{count} more requests", lambda: self.so_far() >= target)
