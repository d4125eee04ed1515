"""Recognize rows without a key by a digest of their values, also after the columns of the table have changed.

The state of an incremental stream describes the columns that its digests are made of:

    {"last": 7, "digest": "0f3a..."}  the columns up to this attribute number, and a digest of their names and types

New columns have greater numbers, so the digests stay valid. If one of the described columns was removed, renamed or got
another type, the digests say nothing any more. Then the rows are taken to be those that were read if there are as many.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from apps.engine.failures import RESET_STREAM, ConfigurationError
from apps.engine.sources.postgres.columns import PgColumn
from apps.engine.sources.postgres.tables import Relation


@dataclass(frozen=True, slots=True)
class RowColumns:
    """The columns of which the digests are made. `is_lost` means that those of the state are made of other columns."""

    columns: tuple[PgColumn, ...]
    is_lost: bool = False

    @classmethod
    def from_state(cls, table: Relation, state: Mapping[str, Any]) -> RowColumns:
        """Return the columns of the state's digests. Older releases took all columns, and stored no description."""
        stored = state.get("columns")
        if not stored:
            return cls(table.columns)
        columns = tuple(column for column in table.columns if column.number <= stored["last"])
        if stored == cls(columns).description:
            return cls(columns)
        return cls(table.columns, is_lost=True)

    @property
    def description(self) -> dict[str, Any]:
        names = json.dumps([(column.name, column.type) for column in self.columns])
        digest = hashlib.sha256(names.encode()).hexdigest()[:16]
        return {"last": max(column.number for column in self.columns), "digest": digest}

    @property
    def digest(self) -> sql.Composable:
        return row_digest(self.columns)

    def require_as_many(self, table: Relation, found: int, known: int) -> None:
        """Raise ConfigurationError if rows whose digests are lost cannot be told from new rows."""
        if found != known:
            raise ConfigurationError(
                f"The columns of {table.stream_name} have changed, so its new rows cannot be told from those that were"
                f" read, because it has no key: {RESET_STREAM}, or give the table a key"
            )


def row_digest(columns: Sequence[PgColumn]) -> sql.Composable:
    """Return the digest of the values of a row."""
    names = sql.SQL(", ").join(column.sql for column in columns)
    return sql.SQL("md5(ROW({})::text)").format(names)
