"""Read the output of the sandbox: lines of limited length, each a JSON object of a known shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from apps.engine.frames import json_values
from apps.engine.process.pipes import LineSplitter
from apps.engine.sandbox import type_tags
from apps.engine.sandbox.limits import BrokenOutput, LimitExceeded, too_many_message

MAX_TEXT = 8_000  # characters of one text field; longer text is cut
SHOWN_BYTES = 120  # bytes of an invalid line that the error shows
EVIDENCE_LINES = 12
MARKED_ROWS = b'{"t":"rows","exact":true,'
MAX_TYPED_COLUMNS = 1500
MAX_TYPED_ROWS = 1000
FAILURE_CLASSES = frozenset(
    {"source", "authentication", "rate_limit", "configuration", "contract", "memory"}
)
MESSAGE_KINDS = frozenset({"ready", "rows", "log", "request", "answer", "error"})


@dataclass(frozen=True, slots=True)
class Line:
    """One message: its kind and its other fields, which were validated. `size` is the number of values in it."""

    kind: str
    values: Mapping[str, Any]
    size: int = 0


class BoundedReader:
    """Splits bytes into lines of at most `max_bytes`, and decodes them. A line may have at most `max_values` values."""

    def __init__(self, max_bytes: int, max_values: int = json_values.MAX_VALUES) -> None:
        self._max_values = max_values
        problem = f"a line longer than {max_bytes:,} bytes"
        self._lines = LineSplitter(max_bytes, lambda line: _broken_output(problem, line))

    def feed(self, data: bytes) -> Iterator[Line]:
        """Add data and yield the messages that are now complete. Raises BrokenOutput and LimitExceeded."""
        for line in self._lines.feed(data):
            yield decode_line(line, self._max_values)


def decode_line(line: bytes, max_values: int = json_values.MAX_VALUES) -> Line:
    """Return the message of one line. Raises BrokenOutput, or LimitExceeded for more than `max_values` values."""
    size = json_values.count_values(line, max_values)
    if size > max_values:
        raise LimitExceeded(too_many_message("values", max_values))
    try:
        body = _parse(line)
    except (ValueError, RecursionError) as error:
        raise _broken_output("a line that is not JSON", line) from error
    if not isinstance(body, dict):
        raise _broken_output("a line that is not a JSON object", line)
    kind = body.pop("t", None)
    if not isinstance(kind, str) or kind not in MESSAGE_KINDS:
        raise _broken_output("an unknown kind of message", line)
    check = _CHECKS[kind]
    if not check(body):
        raise _broken_output(f"a {kind} message of the wrong shape", line)
    return Line(kind, body, size)


def _parse(line: bytes) -> Any:
    """Parse a line. Rows with numbers that orjson would change are marked by the sandbox."""
    if not line.startswith(MARKED_ROWS):
        return orjson.loads(line)
    # This imports polars, which the web process does not need.
    from apps.engine.frames.json_numbers import parse_json

    body = parse_json(line, exactly=True)
    if isinstance(body, dict):
        body.pop("exact", None)
    return body


def _is_valid_ready(body: Mapping[str, Any]) -> bool:
    return body.keys() == {"layers"} and _is_list_of_texts(body["layers"])


def _is_valid_rows(body: dict[str, Any]) -> bool:
    rows, types = body.get("rows"), body.setdefault("types", {})
    if body.keys() != {"rows", "types"} or not isinstance(rows, list):
        return False
    if not isinstance(types, dict) or not type_tags.TAGS.issuperset(_tag_texts(types)):
        return False
    if types and (len(types) > MAX_TYPED_COLUMNS or len(rows) > MAX_TYPED_ROWS):
        return False  # Every typed column is converted in every row, so limit both numbers.
    return all(type(row) is dict for row in rows)


def _is_valid_log(body: Mapping[str, Any]) -> bool:
    return (
        body.keys() == {"level", "message"}
        and isinstance(body["level"], str)
        and isinstance(body["message"], str)
    )


def _is_valid_request(body: Mapping[str, Any]) -> bool:
    return (
        body.keys() == {"method", "url", "status", "ms"}
        and isinstance(body["method"], str)
        and isinstance(body["url"], str)
        and type(body["status"]) is int
        and isinstance(body["ms"], int | float)
    )


def _is_valid_answer(body: Mapping[str, Any]) -> bool:
    return True  # The shape depends on the called operation, so the caller validates it.


def _is_valid_error(body: Mapping[str, Any]) -> bool:
    retry_after, line = body.get("retry_after"), body.get("line")
    return (
        body.keys() == {"failure", "message", "evidence", "retry_after", "retryable", "line"}
        and isinstance(body["failure"], str)
        and body["failure"] in FAILURE_CLASSES
        and isinstance(body["message"], str)
        and _is_list_of_texts(body["evidence"])
        and len(body["evidence"]) <= EVIDENCE_LINES
        and (retry_after is None or _is_valid_wait(retry_after))
        and isinstance(body["retryable"], bool)
        and (line is None or type(line) is int)
    )


def _is_valid_wait(seconds: Any) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds <= 86_400


_CHECKS = {
    "ready": _is_valid_ready,
    "rows": _is_valid_rows,
    "log": _is_valid_log,
    "request": _is_valid_request,
    "answer": _is_valid_answer,
    "error": _is_valid_error,
}


def _tag_texts(types: Mapping[str, Any]) -> list[str]:
    return [tag if isinstance(tag, str) else "" for tag in types.values()]


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _broken_output(problem: str, line: bytes) -> BrokenOutput:
    return BrokenOutput(
        f"The code wrote {problem} to the channel reserved for its answers.",
        evidence=(repr(line[:SHOWN_BYTES]),),
    )
