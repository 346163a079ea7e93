"""Forms with files, sent to the example `album` by curl, requests, httpx and undici."""

import json
import os
import sys
from pathlib import Path

from checks import TIMEOUT, expect, expect_in
from curl import curl

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "pages"))

from example import Example

# The example keeps at most 10 MiB of a form in memory.
MOST = 10 * 1024 * 1024

PNG = b"\x89PNG\r\n\x1a\n"

# Content that looks like the end of a part, and much of it.
PICTURES = [PNG, PNG + b"\r\n--" * 1000 + b"--\r\n", PNG + os.urandom(9_000_000)]

# Names that clients write in different ways. The server never uses them as paths.
FILE_NAMES = ["a.png", "日本 語.png", 'quo"te.png', "../../up.png"]

TITLES = ["Tea", "Käse & <b>日本</b>", "two\r\nlines"]

LOGIN = {"name": "ada", "password": "lovelace"}


def run(check, stage):
    clients = {"upload-curl": with_curl, "upload-python": with_python, "upload-undici": with_undici}
    example = Example(stage.example)
    try:
        clients[stage.family](check, stage, f"http://{example.address}")
        with check("the example exits, nothing aborted"):
            expect_in(", 0 aborted", example.terminate(), "the example's output")
    finally:
        example.kill()


def exchanges(check, client):
    """The same for every client: `client` sends requests, and keeps cookies."""
    picture = (FILE_NAMES[0], PICTURES[0])
    with check(f"{client.how}: without a login, a form gets a 403"):
        expect(client.upload("Tea", *picture), 403, "the status")
    with check(f"{client.how}: after a login, pictures and titles of all kinds arrive as they are"):
        client.log_in()
        first = len(json.loads(client.get("/pictures")))
        sent = [(title, name, content) for name in FILE_NAMES for content in PICTURES
                for title in TITLES[:1]] + [(title, *picture) for title in TITLES]
        for number, (title, name, content) in enumerate(sent, first):
            expect(client.upload(title, name, content), 303, f"the status of {name!r}")
            expect(client.get(f"/pictures/{number}"), content, f"the picture {name!r}")
        listed = [entry["title"] for entry in json.loads(client.get("/pictures"))[first:]]
        expect(listed, [title for title, *_ in sent], "the titles")
    with check(f"{client.how}: other files get a 415, and a form over 10 MiB a 413"):
        expect(client.upload("Tea", "a.png", b"<script>"), 415, "the status of a script")
        expect(client.upload("Tea", "a.png", PNG + bytes(MOST)), 413, "the status")
        expect(client.upload("Tea", *picture), 303, "the status afterwards")


def with_curl(check, stage, url):
    for how, flags, version in [("HTTP/1.1", ["--http1.1"], "1.1"),
                                ("HTTP/2", ["--http2-prior-knowledge"], "2")]:
        exchanges(check, Curl(how, flags, version, url, stage.scratch))
        with check(f"{how}: a form of a stranger is not received"):
            form = Path(stage.scratch, "form")
            form.write_bytes(PICTURES[-1])
            response = curl(*flags, "-H", "Expect: 100-continue", "--expect100-timeout", "10",
                            "-F", "title=x", "-F", f"picture=@{form}",
                            urls=[f"{url}/pictures"]).response
            expect((response.status, response.uploaded), (403, 0), "status and bytes sent")


class Curl:
    def __init__(self, how, flags, version, url, scratch):
        self.how, self.version, self.url = how, version, url
        self.file, self.jar = Path(scratch, "picture"), Path(scratch, f"cookies-{version}")
        self.flags = [*flags, "-b", self.jar, "-c", self.jar]

    def send(self, path, *arguments):
        response = curl(*self.flags, *arguments, urls=[f"{self.url}{path}"]).response
        expect(response.version, self.version, "the version")
        return response

    def log_in(self):
        fields = [part for name, value in LOGIN.items()
                  for part in ("--data-urlencode", f"{name}={value}")]
        expect(self.send("/login", *fields).status, 303, "the status of the login")

    def get(self, path):
        return self.send(path).body

    def upload(self, title, name, content):
        self.file.write_bytes(content)
        name = name.replace('"', '\\"')
        return self.send("/pictures", "--form-string", f"title={title}",
                         "-F", f'picture=@{self.file};filename="{name}";type=image/png').status


def with_python(check, stage, url):
    # Imported late, because `run` may install them first.
    import httpx
    import requests

    with requests.Session() as session:
        session.trust_env = False
        from_python(check, Python("requests", session, url, "data", {"allow_redirects": False}))
    with httpx.Client(http1=False, http2=True, trust_env=False, timeout=TIMEOUT) as client:
        from_python(check, Python("httpx over HTTP/2", client, url, "content", {}))


def from_python(check, client):
    exchanges(check, client)
    with check(f"{client.how}: a form of unknown length arrives in pieces"):
        content_type = {"Content-Type": "multipart/form-data; boundary=b"}
        response = client.post("/pictures", headers=content_type, **{client.body: pieces()})
        expect(response.status_code, 303, "the status")
    with check(f"{client.how}: a missing or repeated picture gets a 422 that names it"):
        picture = ("picture", ("a.png", PNG))
        for files, reason in [([("title", (None, "x"))], "is missing"),
                              ([picture, picture], "occurs more than once")]:
            response = client.post("/pictures", files=files)
            expect(response.status_code, 422, "the status")
            expect_in(f'"picture" {reason}', response.text, "the reason")
    with check(f"{client.how}: more than 1,000 parts get a 413"):
        response = client.post("/pictures", files=[("x", ("x", b"1"))] * 1001)
        expect(response.status_code, 413, "the status")


def pieces():
    part = b"--b\r\nContent-Disposition: form-data; name="
    yield part + b'"title"\r\n\r\n'
    yield from [b"x"] * 1000
    yield b"\r\n" + part + b'"picture"; filename="a.png"\r\n\r\n'
    yield from [PNG * 1000] * 100
    yield b"\r\n--b--\r\n"


class Python:
    """requests and httpx send forms alike."""

    def __init__(self, how, session, url, body, options):
        # `body` is the name of the argument for a body as it is.
        self.how, self.session, self.url, self.body = how, session, url, body
        self.options = options | {"timeout": TIMEOUT}

    def post(self, path, **form):
        return self.session.post(f"{self.url}{path}", **form, **self.options)

    def log_in(self):
        expect(self.post("/login", data=LOGIN).status_code, 303, "the status of the login")

    def get(self, path):
        return self.session.get(f"{self.url}{path}", **self.options).content

    def upload(self, title, name, content):
        files = {"picture": (name, content, "image/png")}
        return self.post("/pictures", data={"title": title}, files=files).status_code


def with_undici(check, stage, url):
    check.relay(["node", HERE / "uploads.mjs", url, "none", Path(stage.scratch, "node-http2")])
