"""requests: sessions, generators, and many threads over few connections."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

from checks import PATIENCE, expect, expect_in, require
from httpool import MAX_BODY, METHODS, PAGE

THREADS = 8


def run(check, stage):
    # Only once it has been installed.
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
        with check("all of this was one connection in the server's count"):
            report = server.expect_clean_end()
            expect(report.accepted, 1, "connections accepted")
            require(report.answered >= 200, f"only {report.answered} requests are counted")
    with stage.server() as server:
        with session() as client:
            with check(f"400 requests of {THREADS} threads get their own answers"):
                with ThreadPoolExecutor(THREADS) as pool:
                    list(pool.map(lambda number: echo(client, server.url, number), range(400)))
        with check(f"these were at most {THREADS} connections in the server's count"):
            report = server.expect_clean_end()
            expect(report.answered, 400, "requests answered")
            require(0 < report.accepted <= THREADS, f"there were {report.accepted}")
    with stage.server() as server:
        with session() as client:
            refused(check, client, server.url)
        with check("the server ends with exit code 0, nothing cut, no warning"):
            server.expect_clean_end()


def echo(client, url, number):
    body = hashlib.sha256(b"%d" % number).digest() * (number * 8)
    answer = client.post(f"{url}/{number}", data=body, timeout=PATIENCE)
    expect((answer.status_code, answer.content), (200, body), f"the answer to {number}")


def one_session(check, client, url):
    with check("200 requests of a session"):
        for number in range(200):
            answer = client.get(f"{url}/{number}", params={"q": "a b&c"}, timeout=PATIENCE)
            expect((answer.status_code, answer.content), (200, PAGE), "the answer")
    with check("HEAD and OPTIONS"):
        answer = client.head(url, timeout=PATIENCE)
        expect((answer.status_code, answer.headers["Content-Length"], answer.content),
               (200, str(len(PAGE)), b""), "the answer to HEAD")
        answer = client.options(url, timeout=PATIENCE)
        expect((answer.status_code, answer.headers["Allow"]), (204, METHODS), "the answer")
    with check("5 MiB from a generator, chunked, come back"):
        pieces = [os.urandom(51_200) for _ in range(100)]
        answer = client.post(url, data=(piece for piece in pieces), timeout=PATIENCE)
        expect(answer.request.headers["Transfer-Encoding"], "chunked", "the request's coding")
        expect((answer.status_code, answer.content), (200, b"".join(pieces)), "the answer")
    with check("a large JSON document comes back as it was"):
        document = {"rows": [{"id": n, "name": "naïve \u2028 \"row\"", "x": n / 3}
                             for n in range(60_000)]}
        answer = client.post(url, json=document, timeout=PATIENCE)
        expect(answer.status_code, 200, "the status")
        expect(answer.headers["Content-Type"], "application/json", "Content-Type")
        require(answer.json() == document, "it is another document")
    with check("an answer that is read piece by piece is whole"):
        body = os.urandom(MAX_BODY)
        with client.post(url, data=body, stream=True, timeout=PATIENCE) as answer:
            read = b"".join(answer.iter_content(10_000))
        expect(read, body, "the body")
    with check("a multipart form with a file comes back"):
        answer = client.post(url, data={"a": "b"}, files={"file": ("f", b"\x00\xff")},
                             timeout=PATIENCE)
        expect_in(b"\x00\xff", answer.content, "the body")
        expect(answer.content, answer.request.body, "the body")
    with check("PUT, PATCH and DELETE get a 405 with Allow"):
        for method in ("PUT", "PATCH", "DELETE"):
            answer = client.request(method, url, data=b"ignored", timeout=PATIENCE)
            expect((answer.status_code, answer.headers["Allow"]), (405, METHODS), "the answer")
    with check("an error is JSON for whom wants it"):
        answer = client.delete(url, headers={"Accept": "application/json"}, timeout=PATIENCE)
        expect(answer.headers["Content-Type"], "application/problem+json", "Content-Type")
        expect(answer.json()["status"], 405, "the status in the body")
    with check("a mistake in JSON gets a 400 with its place"):
        answer = client.post(url, data="[1,]", headers={"Content-Type": "application/json"},
                             timeout=PATIENCE)
        expect(answer.status_code, 400, "the status")
        expect_in("line 1 column 4", answer.text, "the body")


def refused(check, client, url):
    with check("11 MiB get a 413 and no reset, and the session goes on"):
        answer = client.post(url, data=os.urandom(11 * 1024 * 1024), timeout=PATIENCE)
        expect(answer.status_code, 413, "the status")
        expect(client.get(url, timeout=PATIENCE).status_code, 200, "the next status")
    with check("11 MiB from a generator get a 413 and no reset, and the session goes on"):
        pieces = (os.urandom(1024 * 1024) for _ in range(11))
        answer = client.post(url, data=pieces, timeout=PATIENCE)
        expect(answer.status_code, 413, "the status")
        expect(client.get(url, timeout=PATIENCE).status_code, 200, "the next status")
