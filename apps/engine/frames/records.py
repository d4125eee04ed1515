"""Records as sources return them: the names of their fields, and those that cannot become rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

MAX_NAME_BYTES = 1024
NOT_AN_OBJECT = "not an object"

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that cannot become a row of the frame: the reason, the record, and its index among the rows."""

    reason: str
    record: object
    index: int
    is_misfit: bool = False  # whether a value is not of the type of its column


def unwrap_records(rows: Sequence[Any]) -> tuple[list[Record], list[RejectedRecord]]:
    """Unwrap source records. A row that is not an object with at least one field is rejected."""
    if set(map(type, rows)) == {dict} and all(rows):
        return list(rows), []
    records: list[Record] = []
    rejected: list[RejectedRecord] = []
    for index, row in enumerate(rows):
        record = row if isinstance(row, Mapping) else getattr(row, "data", row)
        if isinstance(record, Mapping) and record:
            records.append(record)
            continue
        reason = "the record has no fields" if isinstance(record, Mapping) else NOT_AN_OBJECT
        rejected.append(RejectedRecord(reason, record, index))
    return records, rejected


def column_names(records: list[Record]) -> tuple[list[str], bool]:
    """Return the column names in the order of the records, and whether every record has all columns."""
    if not records:
        return [], True
    names = dict.fromkeys(chain.from_iterable(records))
    return list(names), set(map(len, records)) == {len(names)}


def is_column_name(name: Any) -> bool:
    try:
        # PostgreSQL cannot store NUL, not even in JSON, where the columns of a stream are stored.
        return type(name) is str and "\0" not in name and len(name.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False
