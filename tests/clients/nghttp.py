"""nghttp, with the frames that other clients rarely send."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from checks import TIMEOUT, expect, require
from curl import issue
from httpool import MAX_BODY, PAGE

# A row of its statistics: the times, the status, the size of the body, and the path.
ROW = re.compile(r"^ *\d+ +\+\S+ +\+\S+ +\S+ +(\d+) +(\S+) (\S+)$", re.MULTILINE)


def nghttp(*arguments, stdin=b""):
    """Runs nghttp, and returns its output, which is the body unless the arguments say otherwise."""
    done = subprocess.run(["nghttp", "--no-verify-peer", f"--timeout={TIMEOUT}", *arguments],
                          input=stdin, capture_output=True, timeout=2 * TIMEOUT)
    # The exit code is 0 even if the server does not listen.
    expect((done.returncode, done.stderr), (0, b""), "nghttp's exit code and messages")
    return done.stdout


def statuses(*arguments, stdin=b""):
    """The status of each response."""
    output = nghttp("--null-out", "--stat", *arguments, stdin=stdin).decode()
    return [int(status) for status, _, _ in ROW.findall(output)]


def run(check, stage):
    with stage.server() as server:
        requests(check, server.url)
        uploads(check, server.url, stage.scratch)
        windows(check, server.url)
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
    if shutil.which("openssl"):
        tls(check, stage)
    else:
        print("TLS is skipped: openssl, which makes the certificate, is missing", flush=True)


def tls(check, stage):
    certificate, key = issue(stage.scratch)
    listen = ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]
    with stage.server(*listen) as server:
        with check("over TLS, 200 requests at once get their responses"):
            expect(statuses("--multiply=200", server.secure_urls[0]), [200] * 200, "the statuses")
        with check("over TLS, a body comes back"):
            body = os.urandom(3_000_000)
            expect(nghttp("--data=-", server.secure_urls[0], stdin=body), body, "the body")
        with check("with TLS, too, the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()


def requests(check, url):
    with check("GET returns the page"):
        expect(nghttp(url), PAGE, "the body")
    for flags in [(), ("--no-dep",), ("--no-rfc7540-pri",), ("--weight=1",)]:
        with check(f"100 requests at once get their responses{' with '.join(['', *flags])}"):
            expect(statuses("--multiply=100", *flags, url), [200] * 100, "the statuses")
    with check("500 requests, at most as many at once as the server allows, get their responses"):
        expect(statuses("--multiply=500", url), [200] * 500, "the statuses")
    with check("a client that sends more streams than allowed loses only these"):
        # The server has sent its limit, but nghttp takes this one until it has read the settings.
        found = statuses("--multiply=600", "--peer-max-concurrent-streams=600", url)
        require(found.count(200) >= 100, f"only {found.count(200)} responses")
    with check("HEAD and DELETE get a 200 and a 405"):
        expect(statuses("-H:method: HEAD", url), [200], "the status of HEAD")
        expect(statuses("-H:method: DELETE", url), [405], "the status of DELETE")
    with check("a header block in several CONTINUATION frames is one block"):
        # nghttp's header for this is longer than the server allows.
        expect(statuses("--continuation", url), [431], "the status")
        expect(statuses("-H", f"x-long: {'a' * 15_000}", url), [200], "the status")
    for size in (0, 100, 65_536):
        for flag in ("header-table-size", "encoder-header-table-size"):
            with check(f"100 requests with --{flag}={size} get their responses"):
                found = statuses("--multiply=100", f"--{flag}={size}", "-Hx-same: one", url)
                expect(found, [200] * 100, "the statuses")
    with check("a change of the table's size in the middle is followed"):
        found = statuses("--multiply=100", "--header-table-size=0", "--header-table-size=4096", url)
        expect(found, [200] * 100, "the statuses")


def uploads(check, url, scratch):
    body = os.urandom(1_000_000)
    path = Path(scratch, "upload")
    path.write_bytes(body)
    for flags in [(), ("--no-content-length",), ("--padding=255",), ("--expect-continue",),
                  ("--trailer=x-checksum: 1",)]:
        with check(f"1 MB comes back{' with '.join(['', *flags])}"):
            expect(nghttp(f"--data={path}", *flags, url), body, "the body")
    with check("20 uploads at once come back"):
        found = statuses(f"--data={path}", "--multiply=20", url)
        expect(found, [200] * 20, "the statuses")
    with check("a body over the limit gets a 413, and the next request a response"):
        path.write_bytes(os.urandom(MAX_BODY + 1))
        expect(statuses(f"--data={path}", "--multiply=2", url), [413, 413], "the statuses")


def windows(check, url):
    body = os.urandom(200_000)
    for flags in [("--window-bits=8",), ("--window-bits=10",), ("--window-bits=30",),
                  ("--window-bits=30", "--connection-window-bits=30")]:
        with check(f"a response arrives with {' and '.join(flags)}"):
            expect(nghttp("--data=-", *flags, url, stdin=body), body, "the body")
