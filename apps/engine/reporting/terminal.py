"""Escape the characters of untrusted text that a terminal interprets or that change the displayed order."""

from __future__ import annotations

import re

# Control characters (except tab and newline), bidirectional controls and invisible characters
_CONTROL_CHARACTERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def printable_text(text: str) -> str:
    """Return the text with its control characters escaped as in JSON and Python: `\u001b`."""
    return _CONTROL_CHARACTERS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
