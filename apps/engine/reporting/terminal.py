"""Texts of others, made such that no terminal acts on them and no page shows them in another order."""

from __future__ import annotations

import re

# Control characters but for tabs and ends of lines, and what turns the direction of text or cannot be seen.
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def printable(text: str) -> str:
    """Such characters written as JSON and Python write them: `\\u001b`."""
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
