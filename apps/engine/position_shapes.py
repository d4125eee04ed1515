"""The shapes of the saved positions of sources, to check a position that a person has written.

Sources of custom code, and bizon's own, decide themselves what a position is, so every object may be one of theirs.
The web process uses this module, so it does not import the sources. `{}` is a position before the first record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.json import JsonObject

# The longest position as JSON that a custom source may return or a person may save. The source for PostgreSQL stores
# thousands of keys or digests of rows, so its own positions may be longer.
MAX_POSITION_BYTES = 256 << 10
MAX_FAULTS = 50  # parts of a position that are named
MAX_SHOWN = 60  # characters of a wrong value that are shown
Count = Annotated[int, Field(ge=0)]


class Position(BaseModel):
    """The parts of a position. The description of a part completes the sentence "Must be ..."."""

    model_config = ConfigDict(extra="forbid", strict=True)


class CursorPosition(Position):
    cursor_field: str = Field(description="the name of the cursor field")


class RowColumns(Position):
    last: int
    digest: str


class PostgresPosition(CursorPosition):
    after: list[str] | None = Field(
        None,
        min_length=1,
        description="a list of texts: the last value of the cursor field, then those of the other columns of the key",
    )
    ties: list[list[str] | str] | None = Field(
        None, description="null, or a list of the keys or digests of the rows with the last value"
    )
    contents: str | None = Field(None, description="the text of the saved position")
    unplaced: list[str] = Field([], description="a list of digests")
    key: list[str] | None = Field(None, description="a list of the names of the columns of the key")
    columns: RowColumns | None = Field(None, description="the object of the saved position")


class RestPosition(CursorPosition):
    value: str | int | float | None = Field(
        description="a text or a number: the last value of the cursor field"
    )
    ties: list[str] | None = Field(None, description="null, or a list of digests")
    odd: list[str] | None = Field(None, description="null, or a list of digests")
    kind: Literal["time", "number", "text"] | None = Field(
        None, description="time, number, text or null"
    )
    repeated: list[str] = Field([], description="a list of digests")


class KafkaPosition(Position):
    offsets: dict[str, Count] = Field(
        description='an object of the next offset of each partition, such as {"0": 42}'
    )


class DummyPosition(Position):
    after: Count = Field(description="the number of records that were read")


class NoPosition(Position):
    """The source reads everything in each run."""


SHAPES: Mapping[str, type[Position]] = {
    "postgres": PostgresPosition,
    "rest": RestPosition,
    "kafka": KafkaPosition,
    "dummy": DummyPosition,
    "files": NoPosition,
}


def find_faults(
    kind: str,
    position: JsonObject,
    *,
    saved: JsonObject,
    cursor_field: str | None,
    types: Mapping[str, str],
) -> dict[str, str]:
    """Return a sentence for each part of the position from which a source of this kind could not continue.

    `saved` is the position until now. Its parts are allowed, also those that only an older release has used.
    `cursor_field` is that of the stream, None if the source decides. `types` are the types of the columns that are known.
    """
    shape = SHAPES.get(kind)
    if shape is None or not position:
        return {}
    known = {
        name: value
        for name, value in position.items()
        if name in shape.model_fields or name not in saved
    }
    try:
        parsed = shape.model_validate(known)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        problems = problems[:MAX_FAULTS]
        return {
            name: _sentence(shape, name, problem["type"])
            for problem in reversed(problems)
            for name in [str(problem["loc"][0])]
        }
    faults = _find_other_cursor(parsed, cursor_field or _saved_cursor_field(saved))
    if faults or not isinstance(parsed, PostgresPosition):
        return faults
    return _find_postgres_faults(parsed, _saved_key(saved), types)


def _sentence(shape: type[Position], name: str, problem: str) -> str:
    if not shape.model_fields:
        return "This source has no position, because each run reads all records."
    if problem == "extra_forbidden":
        return f"Is not part of a position of this stream: it has {', '.join(shape.model_fields)}."
    description = shape.model_fields[name].description
    return f"Is required: {description}." if problem == "missing" else f"Must be {description}."


def _find_other_cursor(position: Position, cursor_field: str | None) -> dict[str, str]:
    if not isinstance(position, CursorPosition) or cursor_field in {None, position.cursor_field}:
        return {}
    return {"cursor_field": f"Must be {cursor_field}, the cursor field of the stream."}


def _saved_cursor_field(saved: JsonObject) -> str | None:
    cursor_field = saved.get("cursor_field")
    return cursor_field if isinstance(cursor_field, str) else None


def _saved_key(saved: JsonObject) -> list[str] | None:
    """Return the columns of the key, or None if they are not known. Without a key there are digests of `columns`."""
    key = [] if "columns" in saved else saved.get("key")
    return [str(name) for name in key] if isinstance(key, list) else None


def _find_postgres_faults(
    position: PostgresPosition, saved_key: list[str] | None, types: Mapping[str, str]
) -> dict[str, str]:
    """Compare with the key of the saved position, which is that of the table unless the key has changed since."""
    if position.key is not None and saved_key is not None and position.key != saved_key:
        known = ", ".join(saved_key) or "empty"
        return {"key": f"Must be {known}, the key of the table at the last run."}
    key = saved_key if position.key is None else position.key
    if position.after is None or key is None:
        return {}
    other_keys = [name for name in key if name != position.cursor_field]
    names = [position.cursor_field, *other_keys]
    if len(position.after) != len(names):
        return {"after": f"Must have a value for each of: {', '.join(names)}."}
    if fault := _wrong_value(names, position.after, types):
        return {"after": fault}
    return _find_wrong_ties(position.ties or [], other_keys, types) if other_keys else {}


def _find_wrong_ties(
    ties: Sequence[object], names: Sequence[str], types: Mapping[str, str]
) -> dict[str, str]:
    """Compare the keys of the rows that have the last value of the cursor field."""
    for tie in ties:
        if not isinstance(tie, list) or len(tie) != len(names):
            return {"ties": f"Must have for each row a list with a value of: {', '.join(names)}."}
        if fault := _wrong_value(names, tie, types):
            return {"ties": fault}
    return {}


def _wrong_value(
    names: Sequence[str], values: Sequence[str], types: Mapping[str, str]
) -> str | None:
    for name, value in zip(names, values, strict=True):
        full_type = types.get(name, "")
        read = READERS.get(re.sub(r"\(.*?\)", "", full_type))
        if read is not None and not _can_be_read(read, value):
            shown = value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…"
            return f"{shown!r} is not a value of {name}, which has the type {full_type}."
    return None


def _can_be_read(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value.strip())
    except (ValueError, ArithmeticError):
        return False
    return True


def _reads_whole_number(bits: int) -> Callable[[str], object]:
    def read(text: str) -> None:
        if not -(2 ** (bits - 1)) <= int(text) < 2 ** (bits - 1):
            raise ValueError(text)

    return read


# Dates of years that Python lacks: five digits or more, or before Christ.
OTHER_YEARS = re.compile(r"-?\d{5,}-|.* BC$")


def _reads_iso(read: Callable[[str], object]) -> Callable[[str], object]:
    """Return what reads a date or time in the format of ISO 8601, and leaves the years that Python lacks to the database."""
    return lambda text: None if OTHER_YEARS.match(text) else read(text)


# What reads a text as a value of a type of PostgreSQL. All other types accept any text here, and the run decides.
READERS: Mapping[str, Callable[[str], object]] = {
    "smallint": _reads_whole_number(16),
    "integer": _reads_whole_number(32),
    "bigint": _reads_whole_number(64),
    **dict.fromkeys(("numeric", "real", "double precision"), Decimal),
    "date": _reads_iso(date.fromisoformat),
    **dict.fromkeys(
        ("timestamp with time zone", "timestamp without time zone"),
        _reads_iso(datetime.fromisoformat),
    ),
    "uuid": UUID,
}
