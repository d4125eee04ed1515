"""Find out that a source returns pages of records again that it has returned before, so that its pages never end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.engine.failures import SourceError
from apps.engine.library import trails

KEYS = ("id", "_id", "uuid", "guid")
MAX_REPEATS_WITH_KEYS = 3  # pages in a row that were there before
MAX_REPEATS = 1000  # the same for records without keys, which may be equal
MAX_COMPARED_ROWS = 1000  # of larger pages, the first and the last record are compared


class RepeatedRecords(SourceError):
    """The source returns the same records for ever, each time with another token. A retry of it cannot help."""

    retryable = False


class Repeats:
    """Compares each page of records with those before it, in constant memory."""

    def __init__(self, primary_key: Sequence[str], *, shows_records: bool = True) -> None:
        """`shows_records` is whether a failure may show a record."""
        self._primary_key = tuple(primary_key)
        self._shows_records = shows_records
        self._trail = trails.Trail()
        self._repeated = 0  # pages in a row

    def add(self, rows: Sequence[Any]) -> None:
        """Add the records of a page. Raises RepeatedRecords."""
        if not rows:
            return
        if not self._trail.add(trails.digest(self._content(rows))):
            self._repeated = 0
            return
        self._repeated += 1
        limit = MAX_REPEATS_WITH_KEYS if self._has_key(rows[0]) else MAX_REPEATS
        if self._repeated >= limit:
            raise RepeatedRecords(
                f"The source returns the same records again: its last {self._repeated:,} pages equal earlier pages,"
                " although their tokens differ.",
                evidence=(str(_fields(rows[0]))[:300],) if self._shows_records else (),
            )

    def _content(self, rows: Sequence[Any]) -> list[Any]:
        """Return what identifies the page: the keys of its records in any order, or its first and last record.

        Pages of one record are compared as a whole, because a log of changes has several records with one key.
        """
        if self._primary_key and 1 < len(rows) <= MAX_COMPARED_ROWS:
            keys = [
                tuple(str(_fields(row).get(name)) for name in self._primary_key) for row in rows
            ]
            if not any("None" in key for key in keys):
                return sorted(keys)
        return [len(rows), _fields(rows[0]), _fields(rows[-1])]

    def _has_key(self, row: Any) -> bool:
        return any(_fields(row).get(name) is not None for name in (*self._primary_key, *KEYS))


def _fields(row: Any) -> Mapping[str, Any]:
    fields = getattr(row, "data", row)
    return fields if isinstance(fields, Mapping) else {"": fields}
