"""h2load, which sends thousands of requests on a few connections."""

import re
import shutil
import subprocess
from pathlib import Path

from checks import FAMILY_TIMEOUT, expect
from curl import JSON, issue

REQUESTS = 20_000


def h2load(*arguments):
    """Runs h2load; returns its counts of requests and of statuses."""
    done = subprocess.run(["h2load", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=FAMILY_TIMEOUT)
    expect(done.returncode, 0, "h2load's exit code")
    [requests] = re.findall(r"^requests: .*", done.stdout, re.MULTILINE)
    [statuses] = re.findall(r"^status codes: .*", done.stdout, re.MULTILINE)
    return requests, statuses


def all_succeed(count, *arguments):
    requests, statuses = h2load(f"--requests={count}", *arguments)
    expect(requests, f"requests: {count} total, {count} started, {count} done, {count} succeeded, "
           "0 failed, 0 errored, 0 timeout", "the requests")
    expect(statuses, f"status codes: {count} 2xx, 0 3xx, 0 4xx, 0 5xx", "the statuses")


def run(check, stage):
    body = Path(stage.scratch, "body.json")
    post = [f"--data={body}", f"--header={JSON}"]
    clients = [(1, 1), (1, 100), (64, 10), (200, 1)]
    with stage.server() as server:
        for connections, streams in clients:
            with check(f"{REQUESTS} requests on {connections} connections, {streams} at once on "
                       "each"):
                all_succeed(REQUESTS, f"--clients={connections}",
                            f"--max-concurrent-streams={streams}", server.url)
        with check("the server counts these connections and requests"):
            report = server.expect_clean_end()
            expect((report.accepted, report.answered),
                   (sum(connections for connections, _ in clients), len(clients) * REQUESTS),
                   "connections and requests")
    with stage.server() as server:
        for size, count in [(1024, REQUESTS), (64 * 1024, REQUESTS // 20)]:
            with check(f"{count} bodies of {size} bytes come back"):
                body.write_text('{"data":"%s"}' % ("x" * (size - 11)))
                all_succeed(count, "--clients=8", "--max-concurrent-streams=10", *post, server.url)
        for size in (0, 65_536):
            with check(f"{REQUESTS} requests with many headers, and a header table of {size}"):
                headers = [f"--header=x-header-{n}: {'value' * 5}{n}" for n in range(20)]
                all_succeed(REQUESTS, "--clients=8", "--max-concurrent-streams=10",
                            f"--encoder-header-table-size={size}", f"--header-table-size={size}",
                            *headers, server.url)
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
    if not shutil.which("openssl"):
        print("TLS is skipped: openssl, which makes the certificate, is missing", flush=True)
        return
    certificate, key = issue(stage.scratch)
    listen = ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]
    with stage.server(*listen) as server:
        with check(f"over TLS, {REQUESTS} requests on 8 connections"):
            all_succeed(REQUESTS, "--clients=8", "--max-concurrent-streams=10",
                        server.secure_urls[0])
        with check("with TLS, too, the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
