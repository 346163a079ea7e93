"""Node's clients of HTTP/2; each has its own script."""

import shutil
from pathlib import Path

from curl import issue

HERE = Path(__file__).resolve().parent

SCRIPTS = {"node:http2": "node_http2.mjs", "undici-http2": "undici_http2.mjs"}


def run(check, stage):
    flags, secure = [], []
    if shutil.which("openssl"):
        certificate, key = issue(stage.scratch)
        flags += ["--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key]
    elif stage.family == "node:http2":
        print("TLS is skipped: openssl, which makes the certificate, is missing", flush=True)
    else:
        print("skipped: openssl, which makes the certificate, is missing", flush=True)
        return
    with stage.server(*flags) as server:
        if server.secure_urls:
            secure = [server.secure_urls[0], certificate]
        check.relay(["node", HERE / SCRIPTS[stage.family], server.url, server.socket,
                     Path(stage.scratch, "node-http2"), *secure])
        with check("the server exits with code 0, nothing aborted, no warning"):
            server.expect_clean_end()
