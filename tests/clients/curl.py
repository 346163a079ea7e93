"""curl: what people type."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from checks import PATIENCE, expect, expect_in, require
from httpool import MAX_BODY, METHODS, PAGE

JSON = "content-type: application/json"


@dataclass
class Answer:
    """What curl tells of one transfer."""

    status: int
    # Heads of interim answers and the last one, as they came.
    heads: str
    body: bytes
    # Connections that were opened for it: 0 if one was used again.
    connects: int
    uploaded: int
    version: str


@dataclass
class Run:
    """What one call of curl did."""

    code: int
    # What it says with `-v`.
    said: str
    answers: list

    @property
    def answer(self):
        expect(self.code, 0, "curl's exit code")
        expect(len(self.answers), 1, "the number of answers")
        return self.answers[0]


def curl(*arguments, urls, stdin=b""):
    """Runs curl with these arguments on each URL, without anyone's .curlrc."""
    with tempfile.TemporaryDirectory() as directory:
        bodies = [Path(directory, f"body-{index}") for index in range(len(urls))]
        heads = Path(directory, "heads")
        command = ["curl", "-q", "-sS", "-v", "--max-time", str(PATIENCE), "-D", heads,
                   "-w", "%{json}\n", *arguments]
        for url, body in zip(urls, bodies):
            command += ["-o", body, url]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=2 * PATIENCE)
        told = [json.loads(line) for line in done.stdout.decode().splitlines()]
        answers = [
            Answer(
                status=one["http_code"],
                heads=heads.read_bytes().decode() if heads.exists() else "",
                body=body.read_bytes() if body.exists() else b"",
                connects=one["num_connects"],
                uploaded=one["size_upload"],
                version=one["http_version"],
            )
            for one, body in zip(told, bodies)
        ]
        return Run(done.returncode, done.stderr.decode(errors="replace"), answers)


def run(check, stage):
    with stage.server() as server:
        basics(check, server.url)
        methods_and_targets(check, server.url)
        bodies(check, server.url)
        expectations(check, server.url, stage.scratch)
        limits(check, server.url, stage.scratch)
        errors(check, server.url)
        other_protocols(check, server.url)
        with check("a Unix socket serves the same"):
            done = curl("--unix-socket", server.socket, "-d", "by path", urls=["http://localhost"])
            expect(done.answer.body, b"by path", "the body")
        with check("the server ends with exit code 0, nothing cut, no warning"):
            server.expect_clean_end()
    if shutil.which("openssl"):
        tls(check, stage)
    else:
        print("TLS is skipped: there is no openssl to make a certificate", flush=True)


def tls(check, stage):
    certificate, key = issue(stage.scratch)
    flags = ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key,
             "--listen-tls-proxy-protocol", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"]
    with stage.server(*flags) as server:
        url = server.secure_urls[0]
        for version in ("1.2", "1.3"):
            only = ["--cacert", certificate, f"--tlsv{version}", "--tls-max", version]
            with check(f"TLS {version}: requests go over one connection, in HTTP/1.1"):
                done = curl(*only, urls=[f"{url}/{n}" for n in range(3)])
                expect([(a.body, a.connects, a.version) for a in done.answers],
                       [(PAGE, 1, "1.1"), (PAGE, 0, "1.1"), (PAGE, 0, "1.1")], "the answers")
            with check(f"TLS {version}: a body of {MAX_BODY} bytes comes back"):
                body = sized(stage.scratch, MAX_BODY)
                answer = curl(*only, "--data-binary", f"@{body}", urls=[url]).answer
                require(answer.body == body.read_bytes(), "the body is another one")
        with check("an unknown authority is the client's to refuse, and harms nobody"):
            expect(curl(urls=[url]).code, 60, "curl's exit code")
        with check("a request in the clear gets a readable 400"):
            answer = curl(urls=[url.replace("https", "http")]).answer
            expect(answer.status, 400, "the status")
            expect_in(b"https://", answer.body, "the body")
        with check("a proxy's header may come before TLS"):
            proxied = server.secure_urls[-1]
            answer = curl("--cacert", certificate, "--haproxy-protocol",
                          urls=[f"{proxied}/?origin"]).answer
            block = json.loads(answer.body)
            expect((block["proxy"], block["scheme"], block["tls"]["version"]),
                   (block["peer"], "https", "TLSv1.3"), "the origin")
            expect(curl("--cacert", certificate, urls=[proxied]).code, 35, "curl's code without it")
        with check("with TLS, too, the server ends with nothing cut and no warning"):
            server.expect_clean_end()


def issue(scratch):
    """A certificate for this machine that nobody else vouches for, and its key."""
    certificate, key = Path(scratch, "cert.pem"), Path(scratch, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    return certificate, key


def basics(check, url):
    with check("GET answers the page, in HTTP/1.1"):
        answer = curl(urls=[url]).answer
        expect((answer.status, answer.version, answer.body), (200, "1.1", PAGE), "the answer")
    with check("three URLs go over one connection"):
        done = curl(urls=[f"{url}/{n}" for n in range(3)])
        expect([a.connects for a in done.answers], [1, 0, 0], "connections opened")
        expect([a.body for a in done.answers], [PAGE] * 3, "the bodies")
    with check("HEAD has GET's Content-Length and no body, and the connection goes on"):
        done = curl("-I", urls=[url, url])
        expect([(a.status, a.connects) for a in done.answers], [(200, 1), (200, 0)], "the answers")
        expect_in(f"content-length: {len(PAGE)}\r\n", done.answers[1].heads, "the head")
    with check("HTTP/1.0 is answered, and its connection ends"):
        done = curl("-0", urls=[url, url])
        expect([(a.body, a.connects) for a in done.answers], [(PAGE, 1)] * 2, "the answers")
    with check("HTTP/1.0 with `Connection: keep-alive` uses one connection"):
        done = curl("-0", "-H", "Connection: keep-alive", urls=[url, url])
        expect([(a.body, a.connects) for a in done.answers], [(PAGE, 1), (PAGE, 0)], "the answers")
    with check("`Connection: close` is obeyed"):
        done = curl("-H", "Connection: close", urls=[url, url])
        expect([(a.body, a.connects) for a in done.answers], [(PAGE, 1)] * 2, "the answers")
    with check("forty URLs, eight at once"):
        done = curl("--parallel", "--parallel-max", "8", urls=[f"{url}/{n}" for n in range(40)])
        expect([a.status for a in done.answers], [200] * 40, "the statuses")
        expect([a.body for a in done.answers], [PAGE] * 40, "the bodies")
    for flag, why in [((), "with no `Accept-Encoding`"), (("--compressed",), "with --compressed"),
                      (("--tr-encoding",), "with --tr-encoding"), (("-r", "0-3"), "with a range")]:
        with check(f"GET {why} answers the page whole and uncoded"):
            answer = curl(*flag, urls=[url]).answer
            expect((answer.status, answer.body), (200, PAGE), "the answer")
            for name in ("content-encoding", "transfer-encoding", "content-range"):
                require(name not in answer.heads.lower(), f"{name} is in the head")


def methods_and_targets(check, url):
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW"):
        with check(f"{method} gets a 405 with Allow, and the connection goes on"):
            done = curl("-X", method, urls=[url, url])
            expect([(a.status, a.connects) for a in done.answers], [(405, 1), (405, 0)], "answers")
            expect(done.answers[0].heads.count(f"allow: {METHODS}\r\n"), 2, "heads with Allow")
    with check("OPTIONS * tells the methods"):
        answer = curl("-X", "OPTIONS", "--request-target", "*", urls=[url]).answer
        expect((answer.status, answer.body), (204, b""), "the answer")
        expect_in(f"allow: {METHODS}\r\n", answer.heads, "the head")
    with check("a proxy's absolute form is served, with a body as well"):
        done = curl("-x", url, "-d", "to a proxy", urls=["http://example.test/any?x=1"])
        expect_in("> POST http://example.test/any?x=1 HTTP/1.1", done.said, "what curl sent")
        expect((done.answer.status, done.answer.body), (200, b"to a proxy"), "the answer")
    with check("the absolute form by --request-target is served if Host agrees"):
        host = url.removeprefix("http://")
        done = curl("--request-target", f"http://{host}/any", urls=[url])
        expect((done.answer.status, done.answer.body), (200, PAGE), "the answer")
    with check("a tunnel is refused with a 501 that curl can read"):
        done = curl("-p", "-x", url, urls=["http://example.test/"])
        expect_in("response 501", done.said, "what curl says")
        require(done.code in (7, 56), f"curl's exit code is {done.code}")
    for target in ("/a%20b/%C3%A9?q=%00", "/../..//x/./y", '/[a]|{b}^"?[c]={d}'):
        with check(f"the target {target} is taken"):
            done = curl("-g", "--path-as-is", "--request-target", target, urls=[url])
            expect((done.answer.status, done.answer.body), (200, PAGE), "the answer")
    with check("a name and password in the URL become Authorization"):
        done = curl("-u", "who:why", urls=[url])
        expect_in("> Authorization: Basic", done.said, "what curl sent")
        expect(done.answer.status, 200, "the status")


def bodies(check, url):
    noise = os.urandom(1024 * 1024)
    with check("JSON comes back with its type"):
        answer = curl("-H", JSON, "-d", '{"hello": "world"}', urls=[url]).answer
        expect(answer.body, b'{"hello": "world"}', "the body")
        expect_in("content-type: application/json\r\n", answer.heads, "the head")
    with check("POST with no body, and without Content-Length, gets an empty answer"):
        done = curl("-X", "POST", urls=[url, url])
        require("> Content-Length" not in done.said, "curl has sent a length")
        expect([(a.status, a.body, a.connects) for a in done.answers],
               [(200, b"", 1), (200, b"", 0)], "the answers")
    with check("a GET's body is read, and the next request is not confused with it"):
        done = curl("-X", "GET", "-d", "GET /smuggled HTTP/1.1", urls=[url, url])
        expect([(a.body, a.connects) for a in done.answers], [(PAGE, 1), (PAGE, 0)], "the answers")
    with check("1 MiB of random bytes comes back"):
        answer = curl("-H", "Expect:", "--data-binary", "@-", urls=[url], stdin=noise).answer
        expect(answer.body, noise, "the body")
    with check("a pipe of 5 MiB, which curl sends chunked, comes back"):
        done = curl("-X", "POST", "-T", "-", urls=[url], stdin=noise * 5)
        expect_in("> Transfer-Encoding: chunked", done.said, "what curl sent")
        expect(done.answer.body, noise * 5, "the body")
        expect_in(f"content-length: {5 * len(noise)}\r\n", done.answer.heads, "the head")
    with check("a multipart form comes back, as long as it was"):
        answer = curl("-F", "a=b", "-F", "file=@-;filename=f", urls=[url], stdin=noise).answer
        expect((answer.status, len(answer.body)), (200, answer.uploaded), "status and length")
        expect_in(noise, answer.body, "the body")
    with check("a client that sends and receives slowly loses nothing"):
        answer = curl("--limit-rate", "2M", "--data-binary", "@-", urls=[url], stdin=noise).answer
        expect(answer.body, noise, "the body")


def expectations(check, url, scratch):
    noise = os.urandom(3 * 1024 * 1024)
    both_heads = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
    with check("`Expect: 100-continue` is answered, and the body comes back"):
        done = curl("-H", "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary",
                    "@-", urls=[url], stdin=noise)
        expect_in(both_heads, done.answer.heads, "the heads")
        expect(done.answer.body, noise, "the body")
    with check("and with a chunked body"):
        done = curl("-H", "Expect: 100-continue", "--expect100-timeout", "10", "-X", "POST",
                    "-T", "-", urls=[url], stdin=noise)
        expect_in(both_heads, done.answer.heads, "the heads")
        expect(done.answer.body, noise, "the body")
    too_large = sized(scratch, MAX_BODY + 1)
    with check("a body over the limit is refused with a 413 before a byte of it is sent"):
        answer = curl("-H", "Expect: 100-continue", "--expect100-timeout", "10", "--data-binary",
                      f"@{too_large}", urls=[url]).answer
        expect((answer.status, answer.uploaded), (413, 0), "status and bytes sent")
        require("100 Continue" not in answer.heads, "there was an interim answer")
    with check("an expectation that nobody knows gets a 417"):
        answer = curl("-H", "Expect: tea", "-d", "x", urls=[url]).answer
        expect(answer.status, 417, "the status")


def limits(check, url, scratch):
    with check("a body of exactly 10 MiB comes back"):
        path = sized(scratch, MAX_BODY)
        answer = curl("-H", "Expect:", "--data-binary", f"@{path}", urls=[url]).answer
        expect(answer.status, 200, "the status")
        expect(answer.body, path.read_bytes(), "the body")
    with check("the same chunked"):
        answer = curl("-X", "POST", "-T", "-", urls=[url], stdin=path.read_bytes()).answer
        expect(answer.body, path.read_bytes(), "the body")
    for size, how in [(MAX_BODY + 1, "one byte over"), (64 * 1024 * 1024, "64 MiB")]:
        path = sized(scratch, size)
        for kind, flags in [("with its length", ["--data-binary", f"@{path}"]),
                            ("chunked", ["-X", "POST", "-H", "Transfer-Encoding: chunked",
                                         "-T", str(path)])]:
            with check(f"{how}, sent {kind} without asking, gets a 413 and no reset"):
                answer = curl("-H", "Expect:", *flags, urls=[url]).answer
                expect(answer.status, 413, "the status")
                expect(answer.body, b"413 Payload Too Large: the request body is too large\n",
                       "the body")
    with check("a URL that is too long gets a 414"):
        expect(curl(urls=[f"{url}/{'a' * 20_000}"]).answer.status, 414, "the status")
    with check("a field that is too long gets a 431"):
        answer = curl("-H", f"Cookie: {'a' * 20_000}", urls=[url]).answer
        expect(answer.status, 431, "the status")


def errors(check, url):
    forms = [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8", b"<h1>405 "),
        ("application/json", "application/problem+json", b'"status":405}'),
        ("*/*", "text/plain; charset=utf-8", b"405 Method Not Allowed\n"),
    ]
    for accept, content_type, part in forms:
        with check(f"an error is {content_type} for a client that accepts {accept}"):
            answer = curl("-X", "DELETE", "-H", f"Accept: {accept}", urls=[url]).answer
            expect_in(f"content-type: {content_type}\r\n", answer.heads, "the head")
            expect_in(part, answer.body, "the body")
    with check("a mistake in JSON gets a 400 with its place, and the connection goes on"):
        done = curl("-H", JSON, "-d", '{"hello": }', urls=[url, url])
        expect([(a.status, a.connects) for a in done.answers], [(400, 1), (400, 0)], "the answers")
        expect_in(b"line 1 column 11", done.answers[1].body, "the body")
    with check("a refusal is JSON too, for whom wants it"):
        answer = curl("-H", "Expect: tea", "-H", "Accept: application/json", urls=[url]).answer
        expect(json.loads(answer.body)["status"], 417, "the status in the body")


def other_protocols(check, url):
    with check("an offer to upgrade to HTTP/2 is passed over"):
        done = curl("--http2", urls=[url])
        expect((done.answer.status, done.answer.version), (200, "1.1"), "the answer")
    with check("HTTP/2 without asking fails at once, and not by a timeout"):
        done = curl("--http2-prior-knowledge", urls=[url])
        require(done.code not in (0, 28), f"curl's exit code is {done.code}")
    with check("a line of the PROXY protocol, which is not spoken here, gets a readable 400"):
        answer = curl("--haproxy-protocol", urls=[url]).answer
        expect(answer.status, 400, "the status")


def sized(scratch, size):
    """A file of this size whose bytes are not all alike."""
    path = Path(scratch, f"{size}-bytes")
    if not path.exists():
        block = os.urandom(65_537)
        path.write_bytes((block * (size // len(block) + 1))[:size])
    return path
