"""Prepare the text of a document for a model: in a marked block, and cut into parts."""

from __future__ import annotations

import re
from typing import Any

import orjson

from apps.live.events import dumps

PART_LENGTH = 8_000  # characters
# Anything that a model could read as the beginning or end of the block, also with spaces or other slashes inside. The
# quantifiers give nothing back: otherwise a million spaces after "<" would need hours.
MARKER = re.compile(r"[<\uff1c\u2039]\s*+(?:[/\\\u2215]\s*+)?+data\b", re.IGNORECASE)
INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def mark(text: str) -> str:
    """Return the text in a block of data. The text cannot end the block: markers inside it are replaced."""
    return f"<data>\n{neutralise(text)}\n</data>"


def mark_json(value: object) -> str:
    """Return the value as JSON in a block of data."""
    return mark(dumps(value))


def unmark(text: str) -> str:
    """Return the text of a block of data, or the text itself if it is no such block."""
    return text.removeprefix("<data>\n").removesuffix("\n</data>")


def read_json(block: object) -> Any:
    """Return the value of a block that `mark_json` has made, or None."""
    try:
        return orjson.loads(unmark(block)) if isinstance(block, str) else None
    except orjson.JSONDecodeError:
        return None


def neutralise(text: str) -> str:
    """Return the text without characters that nobody sees, and without markers of a block."""
    return MARKER.sub("(data", INVISIBLE.sub("", text))


def count_parts(text: str) -> int:
    return max(1, -(-len(text) // PART_LENGTH))


def part_of(text: str, number: int) -> str:
    """Return a part of the text. The first part has the number 1."""
    return text[(number - 1) * PART_LENGTH : number * PART_LENGTH]
