"""The live page over TLS, in HTTP/1.1 and HTTP/2."""

import contextlib
import shutil
import tempfile

from browser import Browser
from checks import expect, expect_in
from curl import issue
from example import until
from inspect_server import DETAILS, STATE, TARGETS, Server, choose, click, open_page


def run(checks, command, program):
    if not shutil.which("openssl"):
        print("          skipped: openssl not found, so the page is not shown over TLS")
        return
    with contextlib.ExitStack() as stack:
        scratch = [stack.enter_context(tempfile.TemporaryDirectory(
            prefix="httpool-", ignore_cleanup_errors=True)) for _ in range(2)]
        certificate, key = issue(scratch[0])
        # The browser can't be told to trust a certificate without its database of them.
        tabs = [stack.enter_context(Browser(command, folder, "--ignore-certificate-errors"))
                for folder in scratch]
        for protocol, http2 in (("h2", "on"), ("http/1.1", "off")):
            flags = ("--listen-tls", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key,
                     "--http2", http2)
            follow(checks, program, flags, protocol, *tabs)


def follow(checks, program, flags, protocol, one, two):
    server = Server(program, "127.0.0.1:0", *flags)
    try:
        with checks(f"{protocol} over TLS: two pages follow the requests"):
            for tab in (one, two):
                open_page(tab, f"{server.url}/inspect")
            server.send("POST", "/secure", b"hello")
            for tab in (one, two):
                until(tab, TARGETS, ["/secure"], "the requests")
            choose(one, "POST /secure")
            expect_in("TLSv1.3", one.evaluate(DETAILS), "the details")
        with checks(f"{protocol} over TLS: requests of the page itself use the protocol"):
            one.evaluate("fetch('/from-the-page').then(response => response.text())")
            until(two, TARGETS, ["/from-the-page", "/secure"], "the requests")
            protocols = {response["protocol"] for response in one.responses
                         if response["url"].startswith(server.url)}
            expect(protocols, {protocol}, "protocols")
        with checks(f"{protocol} over TLS: pages reconnect after a restart"):
            expect_in(", 0 aborted", server.stop(), "the report")
            until(one, STATE, "disconnected", "the state of the page")
            server = Server(program, server.plain_address, *again(flags, server.address))
            server.send("GET", "/again")
            for tab in (one, two):
                until(tab, STATE, "live", "the state of the page")
                until(tab, TARGETS, ["/again"], "the requests")
            click(one, ".row")
            until(one, "document.querySelector('.request h2')?.textContent", "GET /again", "title")
            expect(one.errors, [], "the browser's error messages")
    finally:
        server.kill()


def again(flags, address):
    """The flags with the address that the server had."""
    return tuple(address if flag == "127.0.0.1:0" else flag for flag in flags)
