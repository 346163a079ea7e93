"""How the live page looks: contrast in both themes, and small screens."""

from checks import expect, require
from contrast import COLOURS, LEAST, contrast
from inspect_server import choose, open_page, press

# For each field with a hint: its name, the colour of the hint, and its background.
HINTS = """
[...document.querySelectorAll('[placeholder]')].map(field => [
    field.id, getComputedStyle(field, '::placeholder').color, getComputedStyle(field).backgroundColor])
"""

# Buttons and links that are not whole on the screen.
OUTSIDE = """
[...document.querySelectorAll('.actions > *, .request .tools > *')]
    .filter(element => element.checkVisibility())
    .filter(element => {
        const { left, right, width } = element.getBoundingClientRect();
        return width === 0 || left < 0 || right > innerWidth;
    })
    .map(element => element.textContent)
"""


def run(checks, server, browser):
    server.send("POST", "/looks", b'{"a": [1, true, "b"]}', Content_Type="application/json",
                Authorization="Bearer abc")
    for scheme in ("light", "dark"):
        with checks(f"{scheme}: text and hints have enough contrast"):
            open_page(browser, f"{server.url}/inspect", scheme=scheme)
            choose(browser, "POST /looks")
            for element, text, behind in browser.evaluate(COLOURS) + browser.evaluate(HINTS):
                found = contrast(text, behind)
                require(found >= LEAST, f"{element}: {text} on {behind} is {found:.1f}")
    for width in (320, 390):
        with checks(f"every button is on a screen of {width} pixels"):
            open_page(browser, f"{server.url}/inspect", width=width, height=700)
            expect(browser.evaluate(OUTSIDE), [], "buttons beyond the screen in the list")
            choose(browser, "POST /looks")
            expect(browser.evaluate(OUTSIDE), [], "buttons beyond the screen in a request")
            expect(browser.evaluate("document.documentElement.scrollWidth"), width, "the width of the page")
            press(browser, "Escape")
