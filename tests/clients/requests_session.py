"""requests: sessions, generators, and many threads over few connections."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from checks import TIMEOUT, expect, expect_in, require
from httpool import MAX_BODY, METHODS, PAGE

THREADS = 8


def run(check, stage):
    # Imported late, because `run` may install it first.
    import requests
    from requests.adapters import HTTPAdapter

    def session():
        new = requests.Session()
        new.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=THREADS, pool_block=True))
        new.trust_env = False
        return new

    with stage.server() as server:
        with session() as client:
            one_session(check, client, server.url)
        with check("the server counts one connection for all of this"):
            report = server.expect_clean_end()
            expect(report.accepted, 1, "connections accepted")
            require(report.answered >= 200, f"only {report.answered} requests were counted")
    with stage.server() as server:
        with session() as client:
            with check(f"400 requests of {THREADS} threads get their own responses"):
                with ThreadPoolExecutor(THREADS) as pool:
                    list(pool.map(lambda number: echo(client, server.url, number), range(400)))
        with check(f"the server counts at most {THREADS} connections for these"):
            report = server.expect_clean_end()
            expect(report.answered, 400, "requests answered")
            require(0 < report.accepted <= THREADS, f"{report.accepted} connections")
    with stage.server() as server:
        with session() as client:
            rejected(check, client, server.url)
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()


def echo(client, url, number):
    body = hashlib.sha256(b"%d" % number).digest() * (number * 8)
    response = client.post(f"{url}/{number}", data=body, timeout=TIMEOUT)
    expect((response.status_code, response.content), (200, body), f"the response to {number}")


def one_session(check, client, url):
    with check("200 requests of a session"):
        for number in range(200):
            response = client.get(f"{url}/{number}", params={"q": "a b&c"}, timeout=TIMEOUT)
            expect((response.status_code, response.content), (200, PAGE), "the response")
    with check("HEAD and OPTIONS"):
        response = client.head(url, timeout=TIMEOUT)
        expect((response.status_code, response.headers["Content-Length"], response.content),
               (200, str(len(PAGE)), b""), "the response to HEAD")
        response = client.options(url, timeout=TIMEOUT)
        expect((response.status_code, response.headers["Allow"]), (204, METHODS), "the response")
    with check("5 MiB from a generator, chunked, come back"):
        pieces = [os.urandom(51_200) for _ in range(100)]
        response = client.post(url, data=(piece for piece in pieces), timeout=TIMEOUT)
        expect(response.request.headers["Transfer-Encoding"], "chunked", "the request's coding")
        expect((response.status_code, response.content), (200, b"".join(pieces)), "the response")
    with check("a large JSON document comes back unchanged"):
        document = {"rows": [{"id": n, "name": "naïve \u2028 \"row\"", "x": n / 3}
                             for n in range(60_000)]}
        response = client.post(url, json=document, timeout=TIMEOUT)
        expect(response.status_code, 200, "the status")
        expect(response.headers["Content-Type"], "application/json", "Content-Type")
        require(response.json() == document, "the document differs")
    with check("a response that is read piece by piece is complete"):
        body = os.urandom(MAX_BODY)
        with client.post(url, data=body, stream=True, timeout=TIMEOUT) as response:
            read = b"".join(response.iter_content(10_000))
        expect(read, body, "the body")
    with check("a multipart form with a file comes back"):
        response = client.post(url, data={"a": "b"}, files={"file": ("f", b"\x00\xff")},
                             timeout=TIMEOUT)
        expect_in(b"\x00\xff", response.content, "the body")
        expect(response.content, response.request.body, "the body")
    with check("PUT, PATCH and DELETE get a 405 with Allow"):
        for method in ("PUT", "PATCH", "DELETE"):
            response = client.request(method, url, data=b"ignored", timeout=TIMEOUT)
            expect((response.status_code, response.headers["Allow"]), (405, METHODS), "response")
    with check("an error is JSON for clients that accept it"):
        response = client.delete(url, headers={"Accept": "application/json"}, timeout=TIMEOUT)
        expect(response.headers["Content-Type"], "application/problem+json", "Content-Type")
        expect(response.json()["status"], 405, "the status in the body")
    with check("invalid JSON gets a 400 with the position"):
        response = client.post(url, data="[1,]", headers={"Content-Type": "application/json"},
                             timeout=TIMEOUT)
        expect(response.status_code, 400, "the status")
        expect_in("line 1 column 4", response.text, "the body")


def rejected(check, client, url):
    with check("11 MiB get a 413 and no reset, and the session stays usable"):
        response = client.post(url, data=os.urandom(11 * 1024 * 1024), timeout=TIMEOUT)
        expect(response.status_code, 413, "the status")
        expect(client.get(url, timeout=TIMEOUT).status_code, 200, "the next status")
    with check("11 MiB from a generator get a 413 and no reset, and the session stays usable"):
        pieces = (os.urandom(1024 * 1024) for _ in range(11))
        response = client.post(url, data=pieces, timeout=TIMEOUT)
        expect(response.status_code, 413, "the status")
        expect(client.get(url, timeout=TIMEOUT).status_code, 200, "the next status")
