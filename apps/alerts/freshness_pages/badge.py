"""A badge as SVG, made by hand: it has no scripts, styles, links or fonts of others, so it is safe as an image in a README."""

from __future__ import annotations

import unicodedata

from django.utils.html import escape

from apps.auth.names import clean_name

MAX_LABEL = 40  # characters
# White text on each of them has a contrast of at least 4.5 to 1.
COLORS = {"fresh": "#1f7a34", "late": "#8f5600", "failing": "#b3261e", "none": "#5c6370"}
LABEL_COLOR = "#3c4149"
HEIGHT, PADDING = 20, 6
# Widths of characters in pixels, for a font size of 11: of these, of most others, and of those of East Asian scripts.
THIN, USUAL, WIDE = 4.0, 7.0, 12.0
THIN_CHARACTERS = frozenset(" !'()*,-./:;I[]fijlrt|")


def badge(label: str, message: str, freshness: str) -> str:
    """Return the badge. `label` may be any text."""
    label = _shortened(clean_name(label, max_length=4 * MAX_LABEL)) or "Freshness"
    left, right = _width(label) + 2 * PADDING, _width(message) + 2 * PADDING
    text, title = escape(label), escape(f"{label}: {message}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        f'<rect width="{left + right}" height="{HEIGHT}" rx="3" fill="{COLORS[freshness]}"/>'
        f'<path d="M3 0h{left - 3}v{HEIGHT}H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="{LABEL_COLOR}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f"{_text(text, left / 2, left)}{_text(escape(message), left + right / 2, right)}"
        "</g></svg>"
    )


def _text(escaped: str, middle: float, width: int) -> str:
    """Return a text that is exactly as wide as its place, whatever font the reader has."""
    return f'<text x="{middle:g}" y="14" textLength="{width - 2 * PADDING}">{escaped}</text>'


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_LABEL else f"{text[: MAX_LABEL - 1].rstrip()}…"


def _width(text: str) -> int:
    return round(sum(map(_width_of_character, text)))


def _width_of_character(character: str) -> float:
    if character in THIN_CHARACTERS:
        return THIN
    return WIDE if unicodedata.east_asian_width(character) in "WF" else USUAL
