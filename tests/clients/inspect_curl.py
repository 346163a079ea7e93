"""The paths of `--inspect` with curl: codings, Digest, redirects, cookies, ranges, trailers."""

import json
import subprocess
import tempfile
from pathlib import Path

from checks import TIMEOUT, expect, expect_in


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
    with check("trailers are read"):
        headers = curl("-D", "-", "-o", "/dev/null", f"{url}/trailers?x-sum=42")
        expect_in("x-sum: 42", headers.lower(), "trailers")


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True,
                          timeout=TIMEOUT)
    if done.returncode != 0:
        raise AssertionError(f"curl {arguments}: {done.stderr.strip()}")
    return done.stdout


def exit_code(*arguments):
    command = ["curl", "-sS", "-o", "/dev/null", *arguments]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT).returncode
