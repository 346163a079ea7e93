"""httpx with HTTP/2: coroutines that share one connection."""

import asyncio
import hashlib
import os
import shutil
import ssl

from checks import TIMEOUT, expect, expect_in
from curl import issue
from httpool import MAX_BODY, METHODS, PAGE


def run(check, stage):
    # Without HTTP/1.1, httpx uses HTTP/2 in the clear.
    options = {"http1": False, "http2": True, "trust_env": False, "timeout": TIMEOUT}
    with stage.server() as server:
        exchanges(check, server.url, "in the clear", options)
        with check("in the clear, the server counts a connection for each client"):
            expect(server.expect_clean_end().accepted, 2, "connections accepted")
    if not shutil.which("openssl"):
        print("TLS is skipped: openssl, which makes the certificate, is missing", flush=True)
        return
    certificate, key = issue(stage.scratch)
    listen = ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]
    options |= {"http1": True, "verify": ssl.create_default_context(cafile=certificate)}
    with stage.server(*listen) as server:
        exchanges(check, server.secure_urls[0], "over TLS", options)
        with check("over TLS, the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()


def exchanges(check, url, how, options):
    # Imported late, because `run` may install it first.
    import httpx

    with httpx.Client(**options) as client:
        one_after_another(check, client, url, how)
    with check(f"{how}: 400 requests of coroutines, 100 at once, get their own responses"):
        asyncio.run(coroutines(httpx.AsyncClient(**options), url))


def content(number):
    return hashlib.sha256(b"%d" % number).digest() * (number * 8)


def expect_echo(response, number):
    expect((response.http_version, response.status_code), ("HTTP/2", 200), "version and status")
    expect(response.content, content(number), f"the body of {number}")


async def coroutines(client, url):
    async with client:
        await client.get(url)
        for first in range(0, 400, 100):
            numbers = range(first, first + 100)
            pending = [client.post(f"{url}/{n}", content=content(n)) for n in numbers]
            for number, response in zip(numbers, await asyncio.gather(*pending)):
                expect_echo(response, number)


def one_after_another(check, client, url, how):
    with check(f"{how}: 200 requests of a client"):
        for number in range(200):
            response = client.get(f"{url}/{number}", params={"q": "a b&c"})
            expect((response.http_version, response.content), ("HTTP/2", PAGE), "the response")
    with check(f"{how}: HEAD and OPTIONS"):
        response = client.head(url)
        expect((response.headers["Content-Length"], response.content),
               (str(len(PAGE)), b""), "the response to HEAD")
        response = client.options(url)
        expect((response.status_code, response.headers["Allow"]), (204, METHODS), "the response")
    with check(f"{how}: 5 MiB from a generator, without a length, come back"):
        pieces = [os.urandom(51_200) for _ in range(100)]
        response = client.post(url, content=(piece for piece in pieces))
        expect((response.status_code, response.content), (200, b"".join(pieces)), "the response")
    with check(f"{how}: a large JSON document comes back unchanged"):
        document = {"rows": [{"id": n, "name": "naïve \u2028 \"row\""} for n in range(60_000)]}
        response = client.post(url, json=document)
        expect(response.headers["Content-Type"], "application/json", "Content-Type")
        expect(response.json() == document, True, "whether the documents are equal")
    with check(f"{how}: a response that is read piece by piece is complete"):
        body = os.urandom(MAX_BODY)
        with client.stream("POST", url, content=body) as response:
            read = b"".join(response.iter_bytes(10_000))
        expect(read, body, "the body")
    with check(f"{how}: a response that is not read affects no later one"):
        with client.stream("POST", url, content=body) as response:
            expect(response.status_code, 200, "the status")
        expect(client.get(url).content, PAGE, "the page")
    with check(f"{how}: a multipart form with a file comes back"):
        response = client.post(url, data={"a": "b"}, files={"file": ("f", b"\x00\xff")})
        expect_in(b"\x00\xff", response.content, "the body")
    with check(f"{how}: an error is JSON for clients that accept it"):
        response = client.delete(url, headers={"Accept": "application/json"})
        expect((response.status_code, response.json()["status"]), (405, 405), "the statuses")
    with check(f"{how}: 11 MiB get a 413, and the client stays usable"):
        for body in (os.urandom(11 * 1024 * 1024), (bytes(1024 * 1024) for _ in range(11))):
            expect(client.post(url, content=body).status_code, 413, "the status")
        expect(client.get(url).status_code, 200, "the next status")
