"""Which lines of a log match a level and a text."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from apps.json import JsonObject

LEVELS = ("debug", "info", "warning", "error")
SEARCH_SECONDS = 2.0  # after which a search returns what it has found
# What separates the words of a searched text. The stored JSON of a matching line contains each word, also one of `key=value`.
_SEPARATORS = re.compile(r"[\s\x00-\x1f\x7f\"\\\\=:,{}\[\]]+")


class SearchTime:
    """The time after which a search has to return what it has found. Use it as a context manager.

    The searches that run in this process share SEARCH_SECONDS, so that many of them do not keep all its threads busy.
    """

    _lock = threading.Lock()
    _running = 0

    def __enter__(self) -> SearchTime:
        with self._lock:
            SearchTime._running += 1
            self._end = time.monotonic() + SEARCH_SECONDS / self._running
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            SearchTime._running -= 1

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end


class LineFilter:
    """Matches lines of this level and of more severe levels whose message or fields contain the text, in upper or lower case."""

    def __init__(self, level: str | None = None, text: str = "") -> None:
        self.levels = LEVELS[LEVELS.index(level) :] if level else LEVELS
        self._text = text.lower()
        self._words = [word for word in _SEPARATORS.split(self._text) if word]

    def candidates(self, content: bytes, *, end: int | None = None) -> Iterator[int]:
        """Yield the indexes of the stored lines before `end` that may match. It is fast: it decodes no JSON."""
        if not self._words:
            yield from range(len(content.splitlines()[:end]))
            return
        lowered = content.decode().lower()
        if not self._has_all_words(lowered):
            return
        for index, line in enumerate(lowered.split("\n")[:end]):
            if self._has_all_words(line):
                yield index

    def _has_all_words(self, lowered: str) -> bool:
        return all(word in lowered for word in self._words)

    def matches(self, line: Mapping[str, Any]) -> bool:
        if line["level"] not in self.levels:
            return False
        return (
            not self._text
            or self._text in line["message"].lower()
            or self._text in format_fields(line["fields"]).lower()
        )


def format_fields(fields: JsonObject) -> str:
    """Return the fields of a line as `key=value`, as the run's page shows them."""
    return " ".join(f"{key}={_value_text(value)}" for key, value in fields.items())


def _value_text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
