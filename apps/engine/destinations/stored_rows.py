"""The records that a destination has stored, as texts for a person who looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.engine.failures import ConfigurationError
from apps.engine.frames.columns import Column

Row = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class RowWindow:
    """Which records to read: `limit` records after the first `offset`.

    Of a text longer than `max_characters`, it is enough to read one character more, which shows that it is longer. With
    `column`, only this column is read.
    """

    offset: int
    limit: int
    max_characters: int
    column: str | None = None

    def choose(self, names: Iterable[str]) -> list[str]:
        """Return the names of the columns to read. Raises ConfigurationError if `column` does not exist."""
        chosen = [name for name in names if self.column in {None, name}]
        if self.column is not None and not chosen:
            raise ConfigurationError(f"The table has no column {self.column[:100]!r}")
        return chosen


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column; `type` is Drover's type of a field, and `stored_as` is the type as the destination names it."""

    name: str
    type: str
    stored_as: str

    @classmethod
    def of(cls, name: str, column: Column | None, stored_as: str) -> StoredColumn:
        return cls(name, column.plain.field_type if column else "string", stored_as)


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Records in the order in which they are stored, and the number of all records if it is known."""

    columns: Sequence[StoredColumn]
    rows: Sequence[Row]
    total: int | None = None


class TableGone(ConfigurationError):
    """The table no longer exists at the destination."""
