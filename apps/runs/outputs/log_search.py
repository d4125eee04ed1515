"""Which lines of a log match a level and a text."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import orjson

from apps.json import JsonObject

LEVELS = ("debug", "info", "warning", "error")
SEARCH_SECONDS = 2.0  # after which a search returns what it has found
# Such characters are stored as they are. In lower case no other character becomes one of them.
_STORED_AS_IS = re.compile(r"[a-hj-jl-z0-9]+")


class Deadline:
    """The time at which a search has to return what it has found."""

    def __init__(self, seconds: float | None = None) -> None:
        self._end = time.monotonic() + (SEARCH_SECONDS if seconds is None else seconds)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._end


class LineFilter:
    """Matches lines of this level and of more severe levels whose message or fields contain the text, in any case."""

    def __init__(self, level: str | None = None, text: str = "") -> None:
        self.levels = LEVELS[LEVELS.index(level) :] if level else LEVELS
        self._text = text.lower()

    @cached_property
    def _longest_word(self) -> bytes:
        """The longest word of the text whose characters a stored line has as they are, or nothing."""
        return max(_STORED_AS_IS.findall(self._text), key=len, default="").encode()

    def may_match(self, stored: bytes) -> bool:
        """Whether stored lines may contain the text. It is fast, so that most lines need not be decoded."""
        return not self._longest_word or self._longest_word in stored.lower()

    def matches(self, line: Mapping[str, Any]) -> bool:
        if line["level"] not in self.levels:
            return False
        if not self._text:
            return True
        message: str = line["message"]
        return self._text in message.lower() or self._text in format_fields(line["fields"]).lower()


def format_fields(fields: JsonObject) -> str:
    """Return the fields of a line as `key=value`, as the run's page shows them."""
    return " ".join(f"{key}={_value_text(value)}" for key, value in fields.items())


def _value_text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
