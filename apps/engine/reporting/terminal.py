"""Escape characters in untrusted text that terminals interpret or that change the displayed order."""

from __future__ import annotations

import re

# Control characters except tabs and newlines, bidirectional controls, and invisible characters.
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def printable(text: str) -> str:
    """Return the text with such characters escaped as in JSON and Python: `\u001b`."""
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
