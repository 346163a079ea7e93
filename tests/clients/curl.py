"""curl, with the options that people use."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from checks import TIMEOUT, expect, expect_in, require
from httpool import MAX_BODY, METHODS, PAGE

JSON = "content-type: application/json"


@dataclass
class Response:
    """What curl reports about one transfer."""

    status: int
    # The heads of interim responses and of the final one.
    heads: str
    body: bytes
    # Connections that were opened: 0 if one was reused.
    connects: int
    uploaded: int
    version: str


@dataclass
class Run:
    """The result of one run of curl."""

    code: int
    # The output of `-v`.
    output: str
    responses: list

    @property
    def response(self):
        expect(self.code, 0, "curl's exit code")
        expect(len(self.responses), 1, "the number of responses")
        return self.responses[0]


def curl(*arguments, urls, stdin=b""):
    """Runs curl with these arguments on each URL, without the user's .curlrc."""
    with tempfile.TemporaryDirectory() as directory:
        bodies = [Path(directory, f"body-{index}") for index in range(len(urls))]
        heads = Path(directory, "heads")
        command = ["curl", "-q", "-sS", "-v", "--max-time", str(TIMEOUT), "-D", heads,
                   "-w", "%{json}\n", *arguments]
        for url, body in zip(urls, bodies):
            command += ["-o", body, url]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=2 * TIMEOUT)
        reports = [json.loads(line) for line in done.stdout.decode().splitlines()]
        responses = [
            Response(
                status=one["http_code"],
                heads=heads.read_bytes().decode() if heads.exists() else "",
                body=body.read_bytes() if body.exists() else b"",
                connects=one["num_connects"],
                uploaded=one["size_upload"],
                version=one["http_version"],
            )
            for one, body in zip(reports, bodies)
        ]
        return Run(done.returncode, done.stderr.decode(errors="replace"), responses)


def run(check, stage):
    with stage.server() as server:
        basics(check, server.url)
        methods_and_targets(check, server.url)
        bodies(check, server.url)
        expectations(check, server.url, stage.scratch)
        limits(check, server.url, stage.scratch)
        errors(check, server.url)
        other_protocols(check, server.url)
        with check("a Unix socket works the same"):
            done = curl("--unix-socket", server.socket, "-d", "by path", urls=["http://localhost"])
            expect(done.response.body, b"by path", "the body")
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
    if shutil.which("openssl"):
        tls(check, stage)
    else:
        print("TLS is skipped: openssl, which makes the certificate, is missing", flush=True)


def tls(check, stage):
    certificate, key = issue(stage.scratch)
    flags = ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key,
             "--listen-tls-proxy-protocol", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"]
    with stage.server(*flags) as server:
        url = server.secure_urls[0]
        for version in ("1.2", "1.3"):
            only = ["--http1.1", "--cacert", certificate, f"--tlsv{version}", "--tls-max", version]
            with check(f"TLS {version}: requests go over one connection, in HTTP/1.1"):
                done = curl(*only, urls=[f"{url}/{n}" for n in range(3)])
                expect([(a.body, a.connects, a.version) for a in done.responses],
                       [(PAGE, 1, "1.1"), (PAGE, 0, "1.1"), (PAGE, 0, "1.1")], "responses")
            with check(f"TLS {version}: a body of {MAX_BODY} bytes comes back"):
                body = sized(stage.scratch, MAX_BODY)
                response = curl(*only, "--data-binary", f"@{body}", urls=[url]).response
                require(response.body == body.read_bytes(), "the body differs")
        with check("a client that does not trust the certificate affects no other client"):
            expect(curl(urls=[url]).code, 60, "curl's exit code")
        with check("a plain HTTP request gets a readable 400"):
            response = curl(urls=[url.replace("https", "http")]).response
            expect(response.status, 400, "the status")
            expect_in(b"https://", response.body, "the body")
        with check("a PROXY header is accepted before TLS"):
            proxied = server.secure_urls[-1]
            response = curl("--cacert", certificate, "--haproxy-protocol",
                          urls=[f"{proxied}/?origin"]).response
            block = json.loads(response.body)
            expect((block["proxy"], block["scheme"], block["tls"]["version"]),
                   (block["peer"], "https", "TLSv1.3"), "the origin")
            expect(curl("--cacert", certificate, urls=[proxied]).code, 35, "the code without it")
        with check("with TLS, too, the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()


def issue(scratch):
    """A self-signed certificate for 127.0.0.1, and its key."""
    certificate, key = Path(scratch, "cert.pem"), Path(scratch, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    return certificate, key


def basics(check, url):
    with check("GET returns the page, in HTTP/1.1"):
        response = curl(urls=[url]).response
        expect((response.status, response.version, response.body), (200, "1.1", PAGE), "response")
    with check("three URLs go over one connection"):
        done = curl(urls=[f"{url}/{n}" for n in range(3)])
        expect([a.connects for a in done.responses], [1, 0, 0], "connections opened")
        expect([a.body for a in done.responses], [PAGE] * 3, "the bodies")
    with check("HEAD has GET's Content-Length and no body, and keeps the connection"):
        done = curl("-I", urls=[url, url])
        expect([(a.status, a.connects) for a in done.responses], [(200, 1), (200, 0)], "responses")
        expect_in(f"content-length: {len(PAGE)}\r\n", done.responses[1].heads, "the head")
    with check("HTTP/1.0 gets a response, and its connection is closed"):
        done = curl("-0", urls=[url, url])
        expect([(a.body, a.connects) for a in done.responses], [(PAGE, 1)] * 2, "responses")
    with check("HTTP/1.0 with `Connection: keep-alive` uses one connection"):
        done = curl("-0", "-H", "Connection: keep-alive", urls=[url, url])
        expect([(a.body, a.connects) for a in done.responses], [(PAGE, 1), (PAGE, 0)], "responses")
    with check("`Connection: close` closes the connection"):
        done = curl("-H", "Connection: close", urls=[url, url])
        expect([(a.body, a.connects) for a in done.responses], [(PAGE, 1)] * 2, "responses")
    with check("forty URLs, eight at once"):
        done = curl("--parallel", "--parallel-max", "8", urls=[f"{url}/{n}" for n in range(40)])
        expect([a.status for a in done.responses], [200] * 40, "the statuses")
        expect([a.body for a in done.responses], [PAGE] * 40, "the bodies")
    for flag, why in [((), "with no `Accept-Encoding`"), (("--compressed",), "with --compressed"),
                      (("--tr-encoding",), "with --tr-encoding"), (("-r", "0-3"), "with a range")]:
        with check(f"GET {why} returns the whole page without a coding"):
            response = curl(*flag, urls=[url]).response
            expect((response.status, response.body), (200, PAGE), "the response")
            for name in ("content-encoding", "transfer-encoding", "content-range"):
                require(name not in response.heads.lower(), f"{name} is in the head")


def methods_and_targets(check, url):
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW"):
        with check(f"{method} gets a 405 with Allow, and keeps the connection"):
            done = curl("-X", method, urls=[url, url])
            expect([(a.status, a.connects) for a in done.responses],
                   [(405, 1), (405, 0)], "responses")
            expect(done.responses[0].heads.count(f"allow: {METHODS}\r\n"), 2, "heads with Allow")
    with check("OPTIONS * lists the methods"):
        response = curl("-X", "OPTIONS", "--request-target", "*", urls=[url]).response
        expect((response.status, response.body), (204, b""), "the response")
        expect_in(f"allow: {METHODS}\r\n", response.heads, "the head")
    with check("the absolute form for a proxy is served, also with a body"):
        done = curl("-x", url, "-d", "to a proxy", urls=["http://example.test/any?x=1"])
        expect_in("> POST http://example.test/any?x=1 HTTP/1.1", done.output, "what curl sent")
        expect((done.response.status, done.response.body), (200, b"to a proxy"), "the response")
    with check("the absolute form by --request-target is served if Host matches"):
        host = url.removeprefix("http://")
        done = curl("--request-target", f"http://{host}/any", urls=[url])
        expect((done.response.status, done.response.body), (200, PAGE), "the response")
    with check("CONNECT is rejected with a 501 that curl can read"):
        done = curl("-p", "-x", url, urls=["http://example.test/"])
        expect_in("response 501", done.output, "curl's output")
        require(done.code in (7, 56), f"curl's exit code is {done.code}")
    for target in ("/a%20b/%C3%A9?q=%00", "/../..//x/./y", '/[a]|{b}^"?[c]={d}'):
        with check(f"the target {target} is accepted"):
            done = curl("-g", "--path-as-is", "--request-target", target, urls=[url])
            expect((done.response.status, done.response.body), (200, PAGE), "the response")
    with check("a name and password in the URL become Authorization"):
        done = curl("-u", "who:why", urls=[url])
        expect_in("> Authorization: Basic", done.output, "what curl sent")
        expect(done.response.status, 200, "the status")


def bodies(check, url):
    noise = os.urandom(1024 * 1024)
    with check("JSON comes back with its type"):
        response = curl("-H", JSON, "-d", '{"hello": "world"}', urls=[url]).response
        expect(response.body, b'{"hello": "world"}', "the body")
        expect_in("content-type: application/json\r\n", response.heads, "the head")
    with check("POST without a body and without Content-Length gets an empty response"):
        done = curl("-X", "POST", urls=[url, url])
        require("> Content-Length" not in done.output, "curl has sent a length")
        expect([(a.status, a.body, a.connects) for a in done.responses],
               [(200, b"", 1), (200, b"", 0)], "responses")
    with check("the body of a GET is read and not taken for the next request"):
        done = curl("-X", "GET", "-d", "GET /smuggled HTTP/1.1", urls=[url, url])
        expect([(a.body, a.connects) for a in done.responses], [(PAGE, 1), (PAGE, 0)], "responses")
    with check("1 MiB of random bytes comes back"):
        response = curl("-H", "Expect:", "--data-binary", "@-", urls=[url], stdin=noise).response
        expect(response.body, noise, "the body")
    with check("5 MiB from a pipe, which curl sends chunked, come back"):
        done = curl("-X", "POST", "-T", "-", urls=[url], stdin=noise * 5)
        expect_in("> Transfer-Encoding: chunked", done.output, "what curl sent")
        expect(done.response.body, noise * 5, "the body")
        expect_in(f"content-length: {5 * len(noise)}\r\n", done.response.heads, "the head")
    with check("a multipart form comes back with the same length"):
        response = curl("-F", "a=b", "-F", "file=@-;filename=f", urls=[url], stdin=noise).response
        expect((response.status, len(response.body)), (200, response.uploaded), "status and length")
        expect_in(noise, response.body, "the body")
    with check("a client that sends and receives slowly loses nothing"):
        done = curl("--limit-rate", "2M", "--data-binary", "@-", urls=[url], stdin=noise)
        expect(done.response.body, noise, "the body")


def expectations(check, url, scratch):
    noise = os.urandom(3 * 1024 * 1024)
    both_heads = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
    with check("`Expect: 100-continue` gets a 100, and the body comes back"):
        done = curl("-H", "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary",
                    "@-", urls=[url], stdin=noise)
        expect_in(both_heads, done.response.heads, "the response heads")
        expect(done.response.body, noise, "the body")
    with check("the same with a chunked body"):
        done = curl("-H", "Expect: 100-continue", "--expect100-timeout", "10", "-X", "POST",
                    "-T", "-", urls=[url], stdin=noise)
        expect_in(both_heads, done.response.heads, "the response heads")
        expect(done.response.body, noise, "the body")
    too_large = sized(scratch, MAX_BODY + 1)
    with check("a body over the limit gets a 413 before any of it is sent"):
        response = curl("-H", "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary",
                      f"@{too_large}", urls=[url]).response
        expect((response.status, response.uploaded), (413, 0), "status and bytes sent")
        require("100 Continue" not in response.heads, "there was an interim response")
    with check("an unknown expectation gets a 417"):
        response = curl("-H", "Expect: tea", "-d", "x", urls=[url]).response
        expect(response.status, 417, "the status")


def limits(check, url, scratch):
    with check("a body of exactly 10 MiB comes back"):
        path = sized(scratch, MAX_BODY)
        response = curl("-H", "Expect:", "--data-binary", f"@{path}", urls=[url]).response
        expect(response.status, 200, "the status")
        expect(response.body, path.read_bytes(), "the body")
    with check("the same chunked"):
        response = curl("-X", "POST", "-T", "-", urls=[url], stdin=path.read_bytes()).response
        expect(response.body, path.read_bytes(), "the body")
    for size, how in [(MAX_BODY + 1, "one byte over"), (64 * 1024 * 1024, "64 MiB")]:
        path = sized(scratch, size)
        for kind, flags in [("with its length", ["--data-binary", f"@{path}"]),
                            ("chunked", ["-X", "POST", "-H", "Transfer-Encoding: chunked",
                                         "-T", str(path)])]:
            with check(f"{how}, sent {kind} without Expect, gets a 413 and no reset"):
                response = curl("-H", "Expect:", *flags, urls=[url]).response
                expect(response.status, 413, "the status")
                expect(response.body, b"413 Payload Too Large: the request body is too large\n",
                       "the body")
    with check("a URL that is too long gets a 414"):
        expect(curl(urls=[f"{url}/{'a' * 20_000}"]).response.status, 414, "the status")
    with check("a header that is too long gets a 431"):
        response = curl("-H", f"Cookie: {'a' * 20_000}", urls=[url]).response
        expect(response.status, 431, "the status")


def errors(check, url):
    forms = [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8", b"<h1>405 "),
        ("application/json", "application/problem+json", b'"status":405}'),
        ("*/*", "text/plain; charset=utf-8", b"405 Method Not Allowed\n"),
    ]
    for accept, content_type, part in forms:
        with check(f"an error is {content_type} for a client that accepts {accept}"):
            response = curl("-X", "DELETE", "-H", f"Accept: {accept}", urls=[url]).response
            expect_in(f"content-type: {content_type}\r\n", response.heads, "the head")
            expect_in(part, response.body, "the body")
    with check("invalid JSON gets a 400 with the position, and keeps the connection"):
        done = curl("-H", JSON, "-d", '{"hello": }', urls=[url, url])
        expect([(a.status, a.connects) for a in done.responses], [(400, 1), (400, 0)], "responses")
        expect_in(b"line 1 column 11", done.responses[1].body, "the body")
    with check("a rejection is JSON for clients that accept it"):
        response = curl("-H", "Expect: tea", "-H", "Accept: application/json", urls=[url]).response
        expect(json.loads(response.body)["status"], 417, "the status in the body")


def other_protocols(check, url):
    with check("an offer to upgrade to HTTP/2 is ignored"):
        done = curl("--http2", urls=[url])
        expect((done.response.status, done.response.version), (200, "1.1"), "the response")
    with check("a PROXY header on a plain listener gets a readable 400"):
        response = curl("--haproxy-protocol", urls=[url]).response
        expect(response.status, 400, "the status")


def sized(scratch, size):
    """A file of this size with random content."""
    path = Path(scratch, f"{size}-bytes")
    if not path.exists():
        block = os.urandom(65_537)
        path.write_bytes((block * (size // len(block) + 1))[:size])
    return path
