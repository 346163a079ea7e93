"""h2load, the load of the scenarios with HTTP/2."""

from __future__ import annotations

import re
import subprocess
import tempfile

from job import json_of_size

# The headers of a browser that requests an image: a page would be another one than clients without
# `text/html` get.
BROWSER = tuple(
    f"--header={header}"
    for header in (
        "user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/142.0.0.0 Safari/537.36",
        "accept: image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8",
        "accept-encoding: gzip, deflate, br, zstd",
        "accept-language: en-GB,en;q=0.9,de;q=0.8,fr;q=0.7",
        "cache-control: max-age=0",
        "pragma: no-cache",
        "dnt: 1",
        "cookie: session=6f1d2c9a8b7e4f50a1b2c3d4e5f60718; theme=dark; consent=all-2026-11-30",
        "referer: http://127.0.0.1/products/overview?sort=price&page=2",
        'sec-ch-ua: "Chromium";v="142", "Not)A;Brand";v="8"',
        "sec-ch-ua-mobile: ?0",
        'sec-ch-ua-platform: "Linux"',
        "sec-fetch-dest: image",
        "sec-fetch-mode: no-cors",
        "sec-fetch-site: same-origin",
        "sec-fetch-user: ?1",
        "upgrade-insecure-requests: 1",
    )
)

# Each header is then text in each request, and nothing is in the client's table.
LITERAL = ("--encoder-header-table-size=0",)

# The client's windows are then not the limit of a response.
LARGE_WINDOWS = ("--window-bits=20", "--connection-window-bits=20")

# All servers have it, so all encrypt in the same way.
CIPHER = "--tls13-ciphers=TLS_AES_128_GCM_SHA256"

# New connections are made this often in a second, some at once.
BURSTS = 100

# The preface, empty settings, and a HEADERS frame that ends the stream: GET, http, / and localhost.
GET = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + b"\0\0\0\x04\0\0\0\0\0"
    + b"\0\0\x0e\x01\x05\0\0\0\x01\x82\x86\x84\x41\x09localhost"
)


class Failed(Exception):
    """h2load failed."""


def for_seconds(seconds: int, connections: int, streams: int, threads: int) -> list[str]:
    """Options for requests on kept connections, so many at once on each."""
    return [
        f"--duration={seconds}",
        f"--clients={connections}",
        f"--max-concurrent-streams={streams}",
        f"--threads={min(threads, connections)}",
    ]


def at_rate(seconds: int, rate: int) -> list[str]:
    """Options for so many connections a second, each with one request."""
    count = rate * seconds
    period = 1000 // BURSTS
    return [
        f"--requests={count}",
        f"--clients={count}",
        f"--rate={rate // BURSTS}",
        f"--rate-period={period}ms",
    ]


def run(url: str, options: list[str], body: int, seconds: int) -> dict[str, int]:
    """Sends requests for about so many seconds. They are POST of this many bytes, or GET if there
    are none. The duration in the results is in microseconds."""
    if url.startswith("https:"):
        options = [*options, CIPHER]
    with tempfile.NamedTemporaryFile() as data:
        if body:
            data.write(json_of_size(body))
            data.flush()
            options = [*options, f"--data={data.name}", "--header=content-type: application/json"]
        try:
            done = subprocess.run(
                ["h2load", *options, url],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds + 30,
            )
        except subprocess.TimeoutExpired:
            raise Failed("h2load did not end") from None
    found = re.search(
        r"^requests: .* (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$",
        done.stdout,
        re.MULTILINE,
    )
    statuses = re.search(r"^status codes: (\d+) 2xx", done.stdout, re.MULTILINE)
    took = re.search(r"^finished in ([\d.]+)(s|ms),", done.stdout, re.MULTILINE)
    if done.returncode != 0 or not found or not statuses or not took:
        raise Failed(f"h2load failed: {done.stdout.strip()[-300:]}")
    requests, failed, errored, timeout = map(int, found.groups())
    return {
        "requests": requests,
        "duration": round(float(took[1]) * {"s": 1e6, "ms": 1e3}[took[2]]),
        "read": failed + errored,
        # Responses that were not complete at the end have a status too.
        "status": max(0, requests - int(statuses[1])),
        "timeout": timeout,
    }
