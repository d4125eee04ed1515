"""Prepare the text of a document for a model: as plain text, in a marked block, and cut into parts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import orjson

from apps.live.events import dumps

PART_LENGTH = 8_000  # characters
# Anything that a model could read as the beginning or end of the block, also with spaces or other slashes inside.
MARKER = re.compile(r"[<\uff1c\u2039]\s*[/\\\u2215]?\s*data\b", re.IGNORECASE)
INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
HIDDEN_ELEMENTS = frozenset({"script", "style", "template", "noscript", "svg", "head"})
BLOCK_ELEMENTS = frozenset(
    {"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "section", "table"}
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


def text_of_html(page: str) -> str:
    """Return the visible text of a page. Links lose their addresses."""
    reader = _TextReader()
    reader.feed(page)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).splitlines())
    return "\n".join(line for line in lines if line)


class _TextReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0  # how many hidden elements are open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in HIDDEN_ELEMENTS
        if tag in BLOCK_ELEMENTS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in HIDDEN_ELEMENTS))
        if tag in BLOCK_ELEMENTS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)
