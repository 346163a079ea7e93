"""One request on the live page: filters, keys, bodies, raw bytes, secrets, comparison, curl."""

import json
import re

from checks import expect, expect_in, require
from example import until
from inspect_server import DETAILS, TARGETS, choose, open_page, press, type_into

LINES = "[...document.querySelectorAll('.content .line')].map(line => line.textContent)"
TOAST = "document.getElementById('toast').textContent"

# Deeper than any document of people. Indented, it would have 225 million characters.
DEEP = 15_000


def run(checks, server, browser):
    headers = {"Content_Type": "application/json", "Authorization": "Bearer s3cr3t"}
    server.send("POST", "/orders/1", b'{"id":12345678901234567890,"items":[{"tea":2},{}]}', **headers)
    server.send("GET", "/other")
    server.send("POST", "/orders/2", b'{"id":7,"items":[]}', **headers)
    with checks("a filter takes a method, a path and a status"):
        for words, expected in (
                ("POST", ["/orders/2", "/orders/1"]), ("orders 200", ["/orders/2", "/orders/1"]),
                ("4xx", []), ("-POST -held", ["/other"]), ("", 4)):
            type_into(browser, "#filter", words)
            found = TARGETS if isinstance(expected, list) else f"{TARGETS}.length"
            until(browser, found, expected, f"the requests that match {words!r}")
    with checks("keys choose a request, and the address names it"):
        browser.evaluate("document.getElementById('list').focus()")
        for key in "jjj":
            press(browser, key)
        until(browser, "document.querySelector('.request h2')?.textContent", "POST /orders/1", "title")
        path = browser.evaluate("location.pathname")
        require(re.fullmatch(r"/inspect/r/\d+", path), path)
    with checks("JSON is indented, and its numbers stay as they were sent"):
        lines = "[...document.querySelectorAll('.content .line')].map(line => line.textContent)"
        until(browser, lines, [
            "{", '  "id": 12345678901234567890,', '  "items": [', "    {", '      "tea": 2', "    },",
            "    {}", "  ]", "}"], "the lines")
    with checks("a search marks the lines with a word"):
        press(browser, "f")
        type_into(browser, ".body-search", "TEA")
        until(browser, "document.querySelectorAll('.content mark').length", 1, "marks")
        until(browser, "document.querySelector('.bar [role=status]').textContent", "1 of 1", "count")
        press(browser, "Escape")
    with checks("secrets are masked until they are asked for"):
        expect_in("Bearer ***", browser.evaluate(DETAILS), "the details")
        press(browser, "s")
        until(browser, f"{DETAILS}.includes('Bearer s3cr3t')", True, "whether the secret is shown")
        press(browser, "s")
        until(browser, f"{DETAILS}.includes('s3cr3t')", False, "whether the secret is shown")
    with checks("raw is as sent"):
        press(browser, "r")
        until(browser, f"{DETAILS}.includes('POST /orders/1 HTTP/1.1')", True, "the request line")
        press(browser, "r")
    with checks("two requests are compared line by line"):
        press(browser, "c")
        press(browser, "k")
        press(browser, "k")
        until(browser, "document.querySelectorAll('.compare .removed').length > 3", True, "removed")
        removed = browser.evaluate(
            "[...document.querySelectorAll('.compare .removed')].map(line => line.textContent)")
        expect_in('  "id": 12345678901234567890,', removed, "the lines of one request")
        press(browser, "c")
        until(browser, "document.querySelector('.compare')", None, "the comparison")
    with checks("? shows the keys, and Escape leaves a request"):
        press(browser, "?")
        expect(browser.evaluate("document.getElementById('help').open"), True, "help is open")
        browser.evaluate("document.getElementById('help').close()")
        press(browser, "Enter")
        expect(browser.evaluate("document.body.dataset.view"), "request", "the view")
        press(browser, "Escape")
        expect(browser.evaluate("document.body.dataset.view"), "list", "the view")
    with checks("a permalink shows its request"):
        open_page(browser, server.url + path)
        until(browser, "document.querySelector('.request h2')?.textContent", "POST /orders/1", "title")
        open_page(browser, f"{server.url}/inspect#{path.rsplit('/', 1)[1]}")
        until(browser, "document.querySelector('.request h2')?.textContent", "POST /orders/1", "title")
    bodies(checks, server, browser)
    copying(checks, server, browser)


def bodies(checks, server, browser):
    with checks("raw has the bytes of a binary body"):
        server.send("POST", "/binary", b"\x00\x01\xffPNG" + bytes(range(32, 48)))
        choose(browser, "POST /binary")
        press(browser, "r")
        until(browser, f"{LINES}.at(-2)", "000000  00 01 ff 50 4e 47 20 21 22 23 24 25 26 27 28 29  ...PNG !\"#$%&'()", "bytes")
        expect(browser.evaluate(f"{LINES}.filter(line => line === '').length"), 1, "empty lines")
        expect_in("The body is binary: 22 B", browser.evaluate(DETAILS), "the details")
        press(browser, "r")
    with checks("deep JSON stays small, and all of it is shown"):
        deep = "[" * DEEP + "1" + "]" * DEEP
        server.send("POST", "/deep", deep.encode(), Content_Type="application/json")
        choose(browser, "POST /deep")
        shown = browser.evaluate(f"{LINES}.join('\\n')")
        require(len(shown) < 100_000, f"{len(shown)} characters")
        expect("".join(shown.split()), deep, "the text without spaces")
        heap = browser.evaluate("performance.memory.usedJSHeapSize")
        require(heap < 50_000_000, f"{heap} bytes of memory in the browser")
    with checks("a long list is shown whole, its end as it was sent"):
        numbers = json.dumps(list(range(10_000)), separators=(",", ":"))
        server.send("POST", "/list", numbers.encode(), Content_Type="application/json")
        choose(browser, "POST /list")
        expect(browser.evaluate(f"{LINES}.length"), 5000, "lines")
        expect("".join(browser.evaluate(f"{LINES}.join('')").split()), numbers, "the text without spaces")


def copying(checks, server, browser):
    with checks("the message of a copied command says masked only if a secret is"):
        server.send("GET", "/plain")
        choose(browser, "GET /plain")
        press(browser, "y")
        until(browser, TOAST, "Copied the command.", "the message")
        server.send("GET", "/secret", X_Api_Key="abc")
        choose(browser, "GET /secret")
        press(browser, "y")
        until(browser, TOAST, "Copied the command, with secrets masked.", "the message")
