"""curl with HTTP/2, in the clear and over TLS."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from checks import expect, expect_in, require
from curl import JSON, curl, issue, sized
from httpool import MAX_BODY, METHODS, PAGE

CLEAR = ["--http2-prior-knowledge"]

# Requests that curl sends at once.
PARALLEL = 100


@dataclass
class Client:
    """curl with the flags for HTTP/2."""

    how: str
    flags: list
    url: str
    # curl 7.88 does not send the second request of a connection with prior knowledge.
    sends_one: bool = False

    def __call__(self, *arguments, paths=("",), stdin=b""):
        """Requests each path. Expects that all requests use one connection."""
        urls = [f"{self.url}{path}" for path in paths]
        if self.sends_one:
            runs = [curl(*self.flags, *arguments, urls=[url], stdin=stdin) for url in urls]
        else:
            runs = [curl(*self.flags, *arguments, urls=urls, stdin=stdin)]
        responses = [response for run in runs for response in run.responses]
        expect([run.code for run in runs], [0] * len(runs), "curl's exit code")
        expect([response.version for response in responses], ["2"] * len(urls), "versions of HTTP")
        expect(sum(response.connects for response in responses), len(runs), "connections opened")
        return responses


def run(check, stage):
    version = subprocess.run(["curl", "-q", "--version"], capture_output=True, text=True).stdout
    sends_one = version.startswith("curl 7.88.")
    with stage.server() as server:
        client = Client("in the clear", CLEAR, server.url, sends_one)
        exchanges(check, client, stage.scratch)
        with check("a Unix socket works the same"):
            done = curl(*CLEAR, "--unix-socket", server.socket, "-d", "by path",
                        urls=["http://localhost"])
            expect((done.response.version, done.response.body), ("2", b"by path"), "the response")
        with check("HTTP/1.1 works on the same port, and an offer to upgrade is ignored"):
            for flag in ("--http1.1", "--http2"):
                response = curl(flag, urls=[server.url]).response
                expect((response.version, response.body), ("1.1", PAGE), flag)
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
    if shutil.which("openssl"):
        tls(check, stage)
    else:
        print("TLS is skipped: openssl, which makes the certificate, is missing", flush=True)
    with stage.server("--http2", "off") as server, check("with --http2 off, curl fails at once"):
        code = curl(*CLEAR, urls=[server.url]).code
        require(code not in (0, 28), f"curl's exit code is {code}")
        server.expect_clean_end()


def tls(check, stage):
    certificate, key = issue(stage.scratch)
    listen = ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]
    trust = ["--cacert", certificate]
    with stage.server(*listen) as server:
        url = server.secure_urls[0]
        exchanges(check, Client("over TLS", [*trust, "--http2"], url), stage.scratch)
        with check("TLS 1.2 selects HTTP/2 too"):
            response = curl(*trust, "--http2", "--tls-max", "1.2", urls=[url]).response
            expect((response.version, response.body), ("2", PAGE), "the response")
        for flag in ("--http1.1", "--no-alpn"):
            with check(f"a client with {flag} gets HTTP/1.1"):
                response = curl(*trust, flag, urls=[url]).response
                expect((response.version, response.body), ("1.1", PAGE), "the response")
        with check("with TLS, too, the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
    with stage.server("--http2", "off", *listen) as server:
        with check("with --http2 off, TLS selects HTTP/1.1"):
            response = curl(*trust, "--http2", urls=[server.secure_urls[0]]).response
            expect((response.version, response.body), ("1.1", PAGE), "the response")
            server.expect_clean_end()
    folder(check, stage, listen, trust)


def exchanges(check, client, scratch):
    requests(check, client)
    bodies(check, client)
    expectations(check, client, scratch)
    limits(check, client, scratch)


def requests(check, client):
    how = client.how
    with check(f"{how}: three requests, one after another"):
        responses = client(paths=["/1", "/2", "/3"])
        expect([(a.status, a.body) for a in responses], [(200, PAGE)] * 3, "responses")
    if not client.sends_one:
        with check(f"{how}: {PARALLEL} requests at once"):
            responses = client("--parallel", "--parallel-max", str(PARALLEL),
                               paths=[f"/{n}" for n in range(PARALLEL)])
            expect([(a.status, a.body) for a in responses], [(200, PAGE)] * PARALLEL, "responses")
    with check(f"{how}: HEAD has GET's Content-Length and no body"):
        [response] = client("-I")
        expect(response.status, 200, "the status")
        expect_in(f"content-length: {len(PAGE)}\r\n", response.heads, "the head")
    with check(f"{how}: PUT, DELETE and an unusual method get a 405 with Allow"):
        for method in ("PUT", "DELETE", "BREW"):
            for response in client("-X", method, paths=["/1", "/2"]):
                expect(response.status, 405, method)
                expect_in(f"allow: {METHODS}\r\n", response.heads, "the head")
    with check(f"{how}: OPTIONS * lists the methods"):
        [response] = client("-X", "OPTIONS", "--request-target", "*")
        expect((response.status, response.body), (204, b""), "the response")
        expect_in(f"allow: {METHODS}\r\n", response.heads, "the head")
    with check(f"{how}: an error is JSON for clients that accept it"):
        [response] = client("-X", "DELETE", "-H", "Accept: application/json")
        expect_in("content-type: application/problem+json\r\n", response.heads, "the head")
        expect_in(b'"status":405}', response.body, "the body")


def bodies(check, client):
    how = client.how
    noise = os.urandom(1024 * 1024)
    for size in (20, 64 * 1024, 5 * 1024 * 1024):
        with check(f"{how}: {size} bytes of JSON come back, with their type"):
            body = b'{"data":"%s"}' % (b"x" * (size - 11))
            [response] = client("-H", JSON, "--data-binary", "@-", stdin=body)
            expect((response.status, response.body), (200, body), "the response")
            expect_in("content-type: application/json\r\n", response.heads, "the head")
            expect_in(f"content-length: {size}\r\n", response.heads, "the head")
    with check(f"{how}: invalid JSON gets a 400 with the position"):
        for response in client("-H", JSON, "-d", '{"hello": }', paths=["/1", "/2"]):
            expect(response.status, 400, "the status")
            expect_in(b"line 1 column 11", response.body, "the body")
    with check(f"{how}: 3 MiB from a pipe, which curl sends without a length, come back"):
        [response] = client("-X", "POST", "-T", "-", stdin=noise * 3)
        expect(response.body, noise * 3, "the body")
    with check(f"{how}: a multipart form comes back with the same length"):
        [response] = client("-F", "a=b", "-F", "file=@-;filename=f", stdin=noise)
        expect((response.status, len(response.body)), (200, response.uploaded), "the response")
        expect_in(noise, response.body, "the body")
    with check(f"{how}: a client that sends and receives slowly loses nothing"):
        [response] = client("--limit-rate", "2M", "--data-binary", "@-", stdin=noise)
        expect(response.body, noise, "the body")


def expectations(check, client, scratch):
    how = client.how
    expecting = ["-H", "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary"]
    noise = os.urandom(3 * 1024 * 1024)
    with check(f"{how}: `Expect: 100-continue` gets a 100, and the body comes back"):
        [response] = client(*expecting, "@-", stdin=noise)
        expect_in("HTTP/2 100 \r\n\r\nHTTP/2 200 \r\n", response.heads, "the response heads")
        expect(response.body, noise, "the body")
    with check(f"{how}: a body over the limit gets a 413 before any of it is sent"):
        [response] = client(*expecting, f"@{sized(scratch, MAX_BODY + 1)}")
        expect((response.status, response.uploaded), (413, 0), "status and bytes sent")
        require("HTTP/2 100" not in response.heads, "there was an interim response")
    with check(f"{how}: an unknown expectation gets a 417"):
        [response] = client("-H", "Expect: tea", "-d", "x")
        expect(response.status, 417, "the status")


def limits(check, client, scratch):
    how = client.how
    with check(f"{how}: a body of exactly 10 MiB comes back"):
        path = sized(scratch, MAX_BODY)
        [response] = client("--data-binary", f"@{path}")
        expect(response.body, path.read_bytes(), "the body")
    for size, name in [(MAX_BODY + 1, "one byte over"), (64 * 1024 * 1024, "64 MiB")]:
        path = sized(scratch, size)
        for kind, flags, stdin in [
                ("with its length", ["--data-binary", f"@{path}"], b""),
                ("without a length", ["-X", "POST", "-T", "-"], path.read_bytes())]:
            with check(f"{how}: {name}, sent {kind}, gets a 413 and no reset"):
                [response] = client(*flags, stdin=stdin)
                expect(response.status, 413, "the status")
                expect(response.body, b"413 Payload Too Large: the request body is too large\n",
                       "the body")
    with check(f"{how}: a URL that is too long gets a 414, and the connection stays usable"):
        responses = client(paths=[f"/{'a' * 20_000}", "/"])
        expect([response.status for response in responses], [414, 200], "the statuses")
    with check(f"{how}: headers that are too long get a 431, and the connection stays usable"):
        responses = client("-H", f"Cookie: {'a' * 20_000}", paths=["/1", "/2"])
        expect([response.status for response in responses], [431, 431], "the statuses")


def folder(check, stage, listen, trust):
    """Files, which the server reads while it sends them."""
    root = Path(stage.scratch, "folder")
    root.mkdir()
    (root / "index.html").write_bytes(PAGE)
    large = os.urandom(8 * 1024 * 1024 + 1)
    (root / "large").write_bytes(large)
    with stage.server(*listen, "--root", root) as server:
        client = Client("files", [*trust, "--http2"], server.secure_urls[0])
        with check("files: 8 MiB arrive, in the clear"):
            [response] = Client("files", CLEAR, server.url)(paths=["/large"])
            expect(response.body, large, "the body")
        with check("files: 8 MiB arrive, four times at once over one connection"):
            responses = client("--parallel", paths=[f"/large?{n}" for n in range(4)])
            expect([response.body for response in responses], [large] * 4, "the bodies")
        with check("files: 8 MiB arrive at a client that reads slowly"):
            [response] = client("--limit-rate", "4M", paths=["/large"])
            expect(response.body, large, "the body")
        with check("files: a range arrives"):
            [response] = client("-r", "1000-1999", paths=["/large"])
            expect((response.status, response.body), (206, large[1000:2000]), "the response")
        with check("files: HEAD has the length of the file and no body"):
            [response] = client("-I", paths=["/large"])
            expect_in(f"content-length: {len(large)}\r\n", response.heads, "the head")
        with check("files: a file that has not changed gets a 304, and a missing one a 404"):
            [response] = client()
            [tag] = [line[6:] for line in response.heads.split("\r\n")
                     if line.startswith("etag: ")]
            responses = client("-H", f"If-None-Match: {tag}", paths=["/", "/nothing"])
            expect([response.status for response in responses], [304, 404], "the statuses")
        with check("with files, too, the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
