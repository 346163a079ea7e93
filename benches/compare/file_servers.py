#!/usr/bin/env python3
"""Prints what file servers do with the same folder and the same requests, as a table.

Usage: file_servers.py [NAME=PROGRAM ...], for example httpool=target/release/httpool. Servers that are
not installed are left out. Each is started on a free port of 127.0.0.1, and ended by its process id.
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# The command of each server: {program}, {port}, {folder}.
COMMANDS = {
    "httpool": "{program} {folder} --listen 127.0.0.1:{port} --listing",
    "miniserve": "{program} -i 127.0.0.1 -p {port} {folder}",
    "static-web-server": "{program} -a 127.0.0.1 -p {port} -d {folder} -z",
    "caddy": "{program} file-server --listen 127.0.0.1:{port} --root {folder} --browse",
    "python": "{program} -m http.server -b 127.0.0.1 -d {folder} {port}",
    "serve": "{program} -n --no-port-switching -l tcp://127.0.0.1:{port} {folder}",
}
PROGRAMS = {"python": sys.executable}


def prepare(root):
    """Writes the folder, and a file outside of it."""
    folder = os.path.join(root, "public")
    os.makedirs(os.path.join(folder, "sub"))
    for name, content in {
        "page.txt": "<p>page</p>\n" * 2000,
        "about.html": "<p>about</p>\n",
        ".env": "SECRET=1\n",
        "sub/file.txt": "text\n",
    }.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(content)
    with open(os.path.join(root, "outside.txt"), "w") as file:
        file.write("outside\n")
    os.symlink("../outside.txt", os.path.join(folder, "link.txt"))
    return folder


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    def __init__(self, name, program, folder):
        self.port = free_port()
        command = COMMANDS[name].format(program=program, port=self.port, folder=folder)
        self.process = subprocess.Popen(
            command.split(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{name} does not listen")

    def ask(self, target, headers=None, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            body = response.read()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, body
        finally:
            connection.close()

    def raw(self, request):
        """The first bytes of the response to these bytes."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            client.settimeout(5)
            client.sendall(request)
            try:
                return client.recv(4096)
            except OSError:
                return b""

    def end(self):
        if self.process.poll() is not None:
            return
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def yes(condition):
    return "yes" if condition else "no"


def range_of(server):
    status, headers, body = server.ask("/page.txt", {"Range": "bytes=0-4"})
    return yes(status == 206 and body == b"<p>pa")


def ranges_of(server):
    status, headers, _ = server.ask("/page.txt", {"Range": "bytes=0-4,9000-9004"})
    is_multipart = "multipart/byteranges" in headers.get("content-type", "")
    return yes(status == 206 and is_multipart)


def not_modified(server, validator, condition):
    _, headers, _ = server.ask("/page.txt")
    if validator not in headers:
        return "no"
    status, _, _ = server.ask("/page.txt", {condition: headers[validator]})
    return yes(status == 304)


def entity_tag(server):
    return not_modified(server, "etag", "If-None-Match")


def modified_since(server):
    return not_modified(server, "last-modified", "If-Modified-Since")


def codings(server):
    found = []
    for coding in ["gzip", "br", "zstd"]:
        _, headers, _ = server.ask("/page.txt", {"Accept-Encoding": coding})
        if headers.get("content-encoding") == coding:
            found.append(coding)
    return ", ".join(found) or "no"


def dotfile(server):
    status, _, body = server.ask("/.env")
    return yes(status == 200 and b"SECRET" in body)


def link_out(server):
    status, _, body = server.ask("/link.txt")
    return yes(status == 200 and body == b"outside\n")


def json_listing(server):
    _, headers, _ = server.ask("/sub/", {"Accept": "application/json"})
    by_query, by_query_headers, _ = server.ask("/sub/?format=json")
    kinds = (headers.get("content-type", ""), by_query_headers.get("content-type", ""))
    return yes(any("json" in kind for kind in kinds))


def clean_url(server):
    status, _, body = server.ask("/about")
    return yes(status == 200 and b"about" in body)


def other_method(server):
    status, headers, _ = server.ask("/page.txt", method="DELETE")
    return f"{status}" + (", Allow" if "allow" in headers else "")


def clear_http2(server):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
    return yes(server.raw(preface)[3:4] == b"\x04")


def policy(server):
    _, headers, _ = server.ask("/sub/")
    return yes("content-security-policy" in headers)


def drains(server):
    """Whether a response that is being sent at SIGTERM still arrives whole."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        client.sendall(b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        client.settimeout(10)
        got = len(client.recv(1000))
        os.killpg(server.process.pid, signal.SIGTERM)
        # The signal has to arrive before the rest is read.
        time.sleep(0.5)
        try:
            while chunk := client.recv(1 << 20):
                got += len(chunk)
        except OSError:
            return "no"
    return yes(got > BIG)


BIG = 64 << 20

PROBES = [
    ("a byte range", range_of),
    ("several ranges in one response", ranges_of),
    ("304 by entity tag", entity_tag),
    ("304 by time", modified_since),
    ("compression by default", codings),
    ("serves `.env` by default", dotfile),
    ("follows a link out of the folder by default", link_out),
    ("listing as JSON", json_listing),
    ("`/about` for `about.html` by default", clean_url),
    ("response to DELETE", other_method),
    ("HTTP/2 in the clear", clear_http2),
    ("Content-Security-Policy on the listing", policy),
    ("SIGTERM: a response being sent arrives whole", drains),
]


def main():
    programs = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rows = {name: [] for name, _ in PROBES}
    columns = []
    with tempfile.TemporaryDirectory() as root:
        folder = prepare(root)
        with open(os.path.join(folder, "big.bin"), "wb") as file:
            file.truncate(BIG)
        for name in COMMANDS:
            program = programs.get(name) or PROGRAMS.get(name) or shutil.which(name)
            if program is None:
                print(f"left out: {name} is not installed", file=sys.stderr)
                continue
            columns.append(name)
            server = Server(name, program, folder)
            try:
                for row, probe in PROBES:
                    try:
                        rows[row].append(probe(server))
                    except (OSError, http.client.HTTPException) as error:
                        rows[row].append(f"error: {error}")
            finally:
                server.end()
    print("| | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


main()
