"""The paths of `--inspect` with requests and httpx, over HTTP/1.1 and HTTP/2."""

import asyncio
import time

from checks import TIMEOUT, expect, require


def run(check, stage):
    # Imported late, because `run` may install them first.
    import httpx
    import requests

    with stage.server("--inspect", "--workers", "2") as server:
        with requests.Session() as client:
            client.trust_env = False
            with_requests(check, client, server.url)
        with httpx.Client(trust_env=False, http1=False, http2=True, timeout=TIMEOUT,
                          base_url=server.url) as client:
            with_httpx(check, client)
        asyncio.run(at_once(check, server.url))
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()


def with_requests(check, client, url):
    import requests
    from requests.auth import HTTPBasicAuth, HTTPDigestAuth

    def get(path, **options):
        return client.get(f"{url}/{path}", timeout=TIMEOUT, **options)

    with check("requests: the query, a form, JSON and a file are shown"):
        shown = get("get", params={"a": "1", "b": ["x y", "é"]}).json()
        expect(shown["args"], {"a": "1", "b": ["x y", "é"]}, "args")
        expect(shown["headers"]["User-Agent"], client.headers["User-Agent"], "User-Agent")
        post = lambda **options: client.post(f"{url}/post", timeout=TIMEOUT, **options).json()
        expect(post(data={"a": "b"})["form"], {"a": "b"}, "form")
        expect(post(json={"a": [1, None]})["json"], {"a": [1, None]}, "json")
        shown = post(data={"a": "b"}, files={"f": ("n", b"text"), "g": ("n", b"\xff")})
        expect(shown["files"], {"f": "text", "g": "data:application/octet-stream;base64,/w=="}, "files")
    with check("requests: Digest with every algorithm, again with a stale nonce"):
        for algorithm in ("MD5", "MD5-sess", "SHA-256", "SHA-512"):
            auth = HTTPDigestAuth("ada", "secret")
            for _ in range(5):
                response = get(f"digest-auth/auth/ada/secret/{algorithm}/2", auth=auth)
                expect((response.status_code, response.json()["user"]), (200, "ada"), algorithm)
        expect(get("digest-auth/auth/ada/secret", auth=HTTPDigestAuth("ada", "no")).status_code, 401,
               "the status with a wrong password")
        expect(get("hidden-basic-auth/a/b", auth=HTTPBasicAuth("a", "b")).status_code, 200, "status")
    with check("requests: cookies, redirects, codings and encodings"):
        expect(client.cookies["fake"], "fake_value", "the cookie of the challenges before")
        client.cookies.clear()
        expect(get("cookies/set", params={"a": "1"}).json(), {"cookies": {"a": "1"}}, "cookies")
        expect(get("cookies/delete", params={"a": ""}).json(), {"cookies": {}}, "cookies")
        expect(len(get("redirect/4").history), 4, "redirects")
        for path in ("gzip", "deflate"):
            expect(get(path).json()["method"], "GET", path)
        require("日本語" in get("encoding/utf8").text, "the text of /encoding/utf8")
    with check("requests: a stream arrives line by line, and timeouts end it"):
        start = time.monotonic()
        with get("stream/3?duration=0.6", stream=True) as response:
            lines = response.iter_lines(chunk_size=1)
            next(lines)
            require(time.monotonic() - start < 0.5, "the first line came late")
            expect(len(list(lines)), 2, "further lines")
        try:
            client.get(f"{url}/delay/5", timeout=0.2)
        except requests.exceptions.ReadTimeout:
            pass
        else:
            raise AssertionError("no timeout")


def with_httpx(check, client):
    import httpx

    with check("httpx over HTTP/2: documents, bytes, ranges and conditions"):
        response = client.post("/post?a=b", json={"c": 1})
        expect((response.http_version, response.json()["json"]), ("HTTP/2", {"c": 1}), "the response")
        same = [client.get("/bytes/5000?seed=3").content for _ in range(2)]
        expect(same[0], same[1], "bytes of a seed")
        response = client.get("/range/1000", headers={"Range": "bytes=10-14"})
        expect((response.status_code, response.text), (206, "klmno"), "the range")
        response = client.get("/etag/x", headers={"If-None-Match": '"x"'})
        expect(response.status_code, 304, "the status")
    with check("httpx over HTTP/2: Digest, cookies and redirects"):
        auth = httpx.DigestAuth("ada", "secret")
        for algorithm in ("MD5", "SHA-256", "SHA-256-sess"):
            response = client.get(f"/digest-auth/auth/ada/secret/{algorithm}", auth=auth)
            expect(response.status_code, 200, algorithm)
        client.cookies.clear()
        response = client.get("/cookies/set?a=1", follow_redirects=True)
        expect(response.json(), {"cookies": {"a": "1"}}, "cookies")


async def at_once(check, url):
    import httpx

    with check("httpx: 500 delays at once on two workers"):
        limits = httpx.Limits(max_connections=500)
        async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT, limits=limits) as client:
            start = time.monotonic()
            pending = [client.get(f"{url}/delay/1") for _ in range(500)]
            statuses = {response.status_code for response in await asyncio.gather(*pending)}
            expect(statuses, {200}, "statuses")
            # One after another on two workers, they would take 250 seconds.
            require(time.monotonic() - start < TIMEOUT, "the delays held workers")
