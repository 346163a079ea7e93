"""The paths of `--inspect` with curl: codings, Digest, redirects, cookies, ranges, trailers, and the
commands that its page copies."""

import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from checks import TIMEOUT, expect, expect_in

# A copy has these members of the description of its original.
REPEATED = ("method", "target", "version", "header_lines", "query", "body", "chunks", "trailer_lines")

# Requests of a client that writes each byte itself. `{}` is the address.
WRITTEN = (
    b"GET /anything/a?b=[1-3]&c={x,y} HTTP/1.1\r\nHost: {}\r\nX-Quote: it's \"$HOME\" `x` !a\r\n\r\n",
    b"POST /anything HTTP/1.1\r\nContent-Length: 9\r\nX-B: 1\r\nhost: {}\r\nx-b: 2\r\n"
    b"Content-Type: text/plain\r\n\r\n@it's \\n\n",
    b"PUT /anything HTTP/1.1\r\nHost: {}\r\nContent-Length: 4\r\nUser-Agent: me\r\n\r\n\x00\xff'\n",
    "POST /anything HTTP/1.1\r\nHost: {}\r\nX-Name: gpj.\u202eexe\r\nTransfer-Encoding: chunked\r\n\r\n"
    "6\r\n\u2066é\n\r\n0\r\n\r\n".encode(),
    b"DELETE /anything HTTP/1.1\r\nHost: {}\r\nX-Latin: caf\xe9\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n",
)

# Calls of curl itself, over HTTP/2.
CALLED = (
    ("-H", "content-length: 5", "-H", "x-a: 1", "-H", "cookie: a=b", "--data", "hello"),
    ("-X", "PATCH", "-A", "", "-H", "x-name: \u202e"),
)


def run(check, stage):
    with stage.server("--inspect") as server, tempfile.TemporaryDirectory() as folder:
        checks(check, server.url, Path(folder))
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()


def checks(check, url, folder):
    with check("every status, and a redirect for 302"):
        for status in ("200", "204", "304", "404", "418", "503"):
            expect(curl("-o", "/dev/null", "-w", "%{http_code}", f"{url}/status/{status}"), status,
                   "the status")
        expect(curl("-L", "-o", "/dev/null", "-w", "%{http_code} %{url_effective}",
                    f"{url}/status/302"), f"200 {url}/get", "where it ends")
    with check("redirects are followed up to the limit"):
        expect(curl("-L", "-o", "/dev/null", "-w", "%{num_redirects}", f"{url}/redirect/5"), "5",
               "redirects")
        expect(exit_code("-L", "--max-redirs", "3", f"{url}/absolute-redirect/5"), 47, "exit code")
    with check("codings are decoded"):
        features = curl("--version")
        for path, member, feature in (("gzip", "gzipped", "libz"), ("deflate", "deflated", "libz"),
                                      ("brotli", "brotli", "brotli"), ("zstd", "zstd", "zstd")):
            if feature in features:
                expect(json.loads(curl("--compressed", f"{url}/{path}"))[member], True, path)
    with check("Basic and Digest authentication"):
        for path in ("basic-auth/ada/secret", "digest-auth/auth/ada/secret",
                     "digest-auth/auth/ada/secret/SHA-256"):
            shown = json.loads(curl("--anyauth", "-u", "ada:secret", f"{url}/{path}"))
            expect(shown, {"authenticated": True, "user": "ada"}, path)
            expect(curl("--anyauth", "-u", "ada:wrong", "-o", "/dev/null", "-w", "%{http_code}",
                        f"{url}/{path}"), "401", path)
    with check("cookies are kept, and deleted"):
        jar = ("-b", folder / "jar", "-c", folder / "jar", "-L")
        shown = json.loads(curl(*jar, f"{url}/cookies/set?a=1&b=2"))
        expect(shown, {"cookies": {"a": "1", "b": "2"}}, "cookies")
        expect(json.loads(curl(*jar, f"{url}/cookies/delete?a")), {"cookies": {"b": "2"}}, "cookies")
    with check("a download that was cut goes on"):
        whole = curl(f"{url}/range/100000")
        part = folder / "part"
        part.write_text(whole[:30_000])
        curl("-C", "-", "-o", part, f"{url}/range/100000")
        expect(part.read_text(), whole, "the file")
    with check("an entity tag is found current"):
        tag = ("--etag-save", folder / "tag", "--etag-compare", folder / "tag")
        curl(*tag, "-o", "/dev/null", f"{url}/etag/v1")
        expect(curl(*tag, "-o", "/dev/null", "-w", "%{http_code}", f"{url}/etag/v1"), "304", "status")
    with check("a form with a file is shown"):
        (folder / "up.txt").write_text("content")
        shown = json.loads(curl("-F", "a=b", "-F", f"f=@{folder}/up.txt", f"{url}/post"))
        expect((shown["form"], shown["files"]), ({"a": "b"}, {"f": "content"}), "the form")
    with check("a timeout ends a delay and a drip"):
        for path in ("delay/10", "drip?duration=10"):
            expect(exit_code("-m", "0.5", f"{url}/{path}"), 28, path)
    if shutil.which("bash"):
        copies(check, url)
    with check("trailers are read"):
        headers = curl("-D", "-", "-o", "/dev/null", f"{url}/trailers?x-sum=42")
        expect_in("x-sum: 42", headers.lower(), "trailers")


def copies(check, url):
    address = url.removeprefix("http://")
    with check("a copied command sends the same request again, header by header and byte by byte"):
        for request in WRITTEN:
            original = sent(address, request.replace(b"{}", address.encode()))
            expect(repeated(last_command(url)), repeated_members(original), request.decode("latin-1"))
    with check("a copied command repeats a request of HTTP/2"):
        for arguments in CALLED:
            original = curl("--http2-prior-knowledge", *arguments, f"{url}/anything")
            expect(repeated(last_command(url)), repeated_members(original), arguments)


def sent(address, request):
    """The content of the response to this request, which has a length."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT) as client:
        client.sendall(request)
        with client.makefile("rb") as response:
            length = 0
            while (line := response.readline().lower()) != b"\r\n":
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return response.read(length)


def last_command(url):
    """The command for the last request, with its secrets."""
    number = json.loads(curl(f"{url}/inspect/api/requests"))[-1]["id"]
    return curl(f"{url}/inspect/api/requests/{number}/curl?secrets=show")


def repeated(command):
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=TIMEOUT)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stderr}")
    return repeated_members(done.stdout)


def repeated_members(document):
    document = json.loads(document)
    return {name: document.get(name) for name in REPEATED}


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True,
                          timeout=TIMEOUT)
    if done.returncode != 0:
        raise AssertionError(f"curl {arguments}: {done.stderr.strip()}")
    return done.stdout


def exit_code(*arguments):
    command = ["curl", "-sS", "-o", "/dev/null", *arguments]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT).returncode
