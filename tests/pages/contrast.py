"""The contrast of text (WCAG 2.2, success criterion 1.4.3)."""

import re

# For text of usual size, level AA.
LEAST = 4.5

# For each element with text: its name, its colour, and its background colour.
COLOURS = """
(() => {
    const solid = element => {
        const colour = getComputedStyle(element).backgroundColor;
        const is_clear = colour === 'transparent' || colour.endsWith(', 0)');
        return is_clear && element.parentElement ? solid(element.parentElement) : colour;
    };
    return [...document.querySelectorAll('main *')]
        .filter(element => element.textContent.trim() && element.checkVisibility())
        .map(element => [element.tagName, getComputedStyle(element).color, solid(element)]);
})()
"""


def parsed(colour):
    return [int(part) for part in re.findall(r"\d+", colour)[:3]]


def luminance(colour):
    """The relative luminance as defined by WCAG."""
    def linear(part):
        part /= 255
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
    red, green, blue = map(linear, colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """The contrast of two colours in the form of CSS, `rgb(1, 2, 3)`."""
    low, high = sorted((luminance(parsed(one)), luminance(parsed(other))))
    return (high + 0.05) / (low + 0.05)
