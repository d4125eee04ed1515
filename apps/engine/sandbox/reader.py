"""Read the sandbox's output: lines of limited length with strict JSON, each of a known shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apps.engine.frames import json_values
from apps.engine.process.pipes import Lines
from apps.engine.sandbox import typed
from apps.engine.sandbox.limits import BrokenOutput, LimitExceeded, too_many

TEXT = 8_000  # characters kept of one text field
SHOWN = 120  # bytes shown of an invalid line
EVIDENCE_LINES = 12
MAX_TYPES = 1500
MAX_TYPED_ROWS = 1000
LEVELS = frozenset({"debug", "info", "warning", "error", "critical"})
FAILURES = frozenset(
    {"source", "authentication", "rate_limit", "configuration", "contract", "memory"}
)
KINDS = frozenset({"ready", "rows", "log", "request", "answer", "error"})


@dataclass(frozen=True, slots=True)
class Line:
    """One message: its kind and its other fields, checked by `decoded`; `size` is the number of values in it."""

    kind: str
    values: Mapping[str, Any]
    size: int = 0


class BoundedReader:
    """Splits bytes into lines, keeping at most one unfinished line of `limit` bytes; a line may have at most
    `values` values.
    """

    def __init__(self, limit: int, values: int = json_values.MOST) -> None:
        self._values = values
        why = f"a line longer than {limit:,} bytes"
        self._lines = Lines(limit, lambda line: _broken(why, line))

    def feed(self, data: bytes) -> Iterator[Line]:
        """Return the messages that are complete now. Raises BrokenOutput."""
        for line in self._lines.feed(data):
            yield decoded(line, self._values)


def decoded(line: bytes, most: int = json_values.MOST) -> Line:
    """Return the message of one line. Raises BrokenOutput if it is invalid, or has more than `most` values."""
    size = json_values.count(line, most)
    if size > most:
        raise LimitExceeded(too_many("values", most))
    try:
        body = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _broken("not JSON", line) from error
    if not isinstance(body, dict):
        raise _broken("not an object", line)
    kind = body.pop("t", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise _broken("an unknown kind of message", line)
    check = _CHECKS[kind]
    if not check(body):
        raise _broken(f"a {kind} message of the wrong shape", line)
    return Line(kind, body, size)


def _ready(body: Mapping[str, Any]) -> bool:
    return body.keys() == {"layers"} and _texts(body["layers"])


def _rows(body: dict[str, Any]) -> bool:
    rows, types = body.get("rows"), body.setdefault("types", {})
    if body.keys() != {"rows", "types"} or not isinstance(rows, list):
        return False
    if not isinstance(types, dict) or not typed.TAGS.issuperset(_texts_in(types)):
        return False
    if types and (len(types) > MAX_TYPES or len(rows) > MAX_TYPED_ROWS):
        return False  # Each type is checked in each row.
    return all(type(row) is dict for row in rows)


def _log(body: Mapping[str, Any]) -> bool:
    return (
        body.keys() == {"level", "message"}
        and isinstance(body["level"], str)
        and isinstance(body["message"], str)
    )


def _request(body: Mapping[str, Any]) -> bool:
    return (
        body.keys() == {"method", "url", "status", "ms"}
        and isinstance(body["method"], str)
        and isinstance(body["url"], str)
        and type(body["status"]) is int
        and isinstance(body["ms"], int | float)
    )


def _answer(body: Mapping[str, Any]) -> bool:
    return True  # Its shape depends on the question, so the caller checks it.


def _error(body: Mapping[str, Any]) -> bool:
    wait, line = body.get("retry_after"), body.get("line")
    return (
        body.keys() == {"failure", "message", "evidence", "retry_after", "retryable", "line"}
        and isinstance(body["failure"], str)
        and body["failure"] in FAILURES
        and isinstance(body["message"], str)
        and _texts(body["evidence"])
        and len(body["evidence"]) <= EVIDENCE_LINES
        and (wait is None or (isinstance(wait, int | float) and 0 <= wait <= 86_400))
        and isinstance(body["retryable"], bool)
        and (line is None or type(line) is int)
    )


_CHECKS = {
    "ready": _ready,
    "rows": _rows,
    "log": _log,
    "request": _request,
    "answer": _answer,
    "error": _error,
}


def _texts_in(types: Mapping[str, Any]) -> list[str]:
    return [tag if isinstance(tag, str) else "" for tag in types.values()]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _broken(why: str, line: bytes) -> BrokenOutput:
    return BrokenOutput(
        f"The code wrote {why} to the channel reserved for its answers.",
        evidence=(repr(line[:SHOWN]),),
    )
