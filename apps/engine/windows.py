"""The windows of a stream that a backfill reads. The module has only frozen dataclasses and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.json import JsonObject


@dataclass(frozen=True, slots=True)
class CursorWindow:
    """The rows of a stream whose cursor field is at least `start`, if there is one, and less than `end`.

    The values are in the text form of PostgreSQL, with times in UTC.
    """

    field: str
    start: str | None
    end: str


def window_from_json(fields: JsonObject) -> CursorWindow | None:
    """Return the value of `window` in a specification."""
    window: Any = fields.get("window")
    return CursorWindow(**window) if window else None


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """The window of a backfill as a user wrote it. Without an end, it ends at the saved position of the stream."""

    field: str
    start: str | None
    end: str | None
    rows_per_chunk: int


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The window of a backfill, the values at which its chunks begin after the first, and its number of rows.

    Without an end it is the whole stream.
    """

    start: str | None
    end: str | None
    between: tuple[str, ...]
    rows: int | None
    is_counted: bool  # else the number of rows is an estimate, or unknown


WHOLE_STREAM = WindowPlan(None, None, (), None, is_counted=False)
