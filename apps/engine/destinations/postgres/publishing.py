"""Make a job's staged rows visible in one transaction.

*replace*: when Drover created the target and no other object depends on it, the staging table
is renamed to it and gets its grants; readers wait a moment and then see the new rows.
A target with views, indexes, triggers, policies, comments, columns added by others or another owner
is emptied and filled in place, so all of these are kept. In both cases a REPEATABLE READ transaction
that began earlier and reads the table only afterwards may miss rows: TRUNCATE and DDL do not wait for it.

*append* inserts. *merge* inserts or updates by key; the last record of a key wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString

from psycopg import sql

from apps.engine.contract import WriteMode
from apps.engine.destinations.base import Batch
from apps.engine.destinations.postgres import keys
from apps.engine.destinations.postgres.identifiers import BATCH, ROW, TableName
from apps.engine.destinations.postgres.publications import LastPublication, shape_of
from apps.engine.destinations.postgres.staging import Staging, batch_mark
from apps.engine.destinations.postgres.swapping import keep_grants, stands_alone
from apps.engine.destinations.postgres.tables import (
    Evolution,
    Table,
    TableColumn,
    look,
    widen_column,
)
from apps.engine.destinations.postgres.types import widened
from apps.engine.frames.columns import STRING, Column, ColumnType
from apps.engine.postgres import Cursor

Pairs = list[tuple[str, sql.Composable]]


class Publishing:
    """One publication, inside one transaction."""

    def __init__(
        self,
        cursor: Cursor,
        *,
        target: TableName,
        staging: Staging,
        key: Sequence[str],
        last: LastPublication,
        committed: Sequence[Batch],
    ) -> None:
        self._cursor = cursor
        self._name = target
        self._staging = staging
        self._key = key
        self._last = last
        self._committed = committed
        self._found = look(cursor, target)
        self._ours = self._found is None or self._found.oid == last.relid

    def run(self, mode: WriteMode) -> tuple[Table | None, set[str]]:
        """Publish. Returns the target if Drover created it, and its columns that had no values."""
        unknown = self._swap(mode) if self._may_swap(mode) else self._fill(mode)
        return (look(self._cursor, self._name) if self._ours else None), unknown

    # Replace the target by the staging table.

    def _may_swap(self, mode: WriteMode) -> bool:
        if self._found is None:
            return True
        if not self._staging.columns(self._cursor):
            return False  # With an empty result, the new table's columns would be unknown.
        untouched = self._ours and self._last.shape == shape_of(self._found)
        return mode == "replace" and untouched and stands_alone(self._cursor, self._found.oid)

    def _swap(self, mode: WriteMode) -> set[str]:
        staged = self._staging.columns(self._cursor)
        keyed = bool(self._key) and staged.keys() >= set(self._key)
        if keyed:
            self._delete_older_records()
        if self._found is not None:
            keep_grants(self._cursor, self._found.oid, self._staging.table(self._cursor))
            self._do("DROP TABLE {}", self._name.quoted())
        unknown = {name for name, column in staged.items() if column.type is ColumnType.NULL}
        for name in unknown:
            widen_column(self._cursor, self._staging.name, name, ColumnType.NULL, STRING)
        staging = self._staging.name.quoted()
        for name in (BATCH, ROW):
            self._do("ALTER TABLE {} DROP COLUMN IF EXISTS {}", staging, sql.Identifier(name))
        self._do("ALTER TABLE {} RENAME TO {}", staging, sql.Identifier(self._name.name))
        self._staging.forget(self._cursor)
        if keyed and mode == "merge":
            self._do("ALTER TABLE {} ADD PRIMARY KEY ({})", self._name.quoted(), self._listed_key)
        return unknown

    def _delete_older_records(self) -> None:
        self._do(
            "DELETE FROM {} WHERE ctid IN (SELECT place FROM (SELECT s.ctid AS place,"
            " row_number() OVER (PARTITION BY {} ORDER BY {}) AS age FROM {}) AS aged"
            " WHERE age > 1)",
            self._staging.name.quoted(),
            keys.listed(self._key, "s"),
            keys.NEWEST_FIRST,
            keys.in_order(self._staging.name),
            with_marks=True,
        )

    # Fill the target in place.

    def _fill(self, mode: WriteMode) -> set[str]:
        staged = self._staging.columns(self._cursor)
        evolution = Evolution(
            self._cursor,
            staging=self._staging.table(self._cursor),
            target=self._target(),
            unknown=set(self._last.unknown) if self._ours else set(),
        )
        unknown = evolution.run(staged)
        target = self._target()
        if mode == "replace":
            self._empty(target)
        if any(batch.rows for batch in self._committed):
            pairs = _expressions(staged, target)
            self._merge(target, pairs) if mode == "merge" else self._insert(pairs)
        self._staging.drop(self._cursor)
        return unknown

    def _target(self) -> Table:
        found = look(self._cursor, self._name)
        assert found is not None, "the target exists, and is locked"  # noqa: S101
        return found

    def _empty(self, target: Table) -> None:
        row = self._cursor.execute(
            "SELECT has_table_privilege(%(oid)s::oid, 'TRUNCATE') AND NOT EXISTS"
            " (SELECT FROM pg_constraint WHERE confrelid = %(oid)s::oid)",
            {"oid": target.oid},
        ).fetchone()
        self._do("TRUNCATE {}" if row and row[0] else "DELETE FROM {}", self._name.quoted())

    def _merge(self, target: Table, pairs: Pairs) -> None:
        if keys.is_unique(self._cursor, target, self._key):
            self._insert(pairs, self._on_conflict(pairs))
            return
        same = sql.SQL(" AND ").join(
            sql.SQL("t.{0} = {1}").format(sql.Identifier(name), expression)
            for name, expression in pairs
            if name in self._key
        )
        self._do(
            "DELETE FROM {} AS t USING {} WHERE {}",
            self._name.quoted(),
            self._rows(),
            same,
            with_marks=True,
        )
        self._insert(pairs)

    def _on_conflict(self, pairs: Pairs) -> sql.Composable:
        settings = [
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
            for name, _ in pairs
            if name not in self._key
        ]
        if not settings:
            return sql.SQL("ON CONFLICT ({}) DO NOTHING").format(self._listed_key)
        return sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(
            self._listed_key, sql.SQL(", ").join(settings)
        )

    def _insert(self, pairs: Pairs, conflict: sql.Composable | None = None) -> None:
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in pairs)
        self._do(
            "INSERT INTO {}{} SELECT {} FROM {} {}",
            self._name.quoted(),
            sql.SQL(" ({})").format(names) if pairs else sql.SQL(""),
            sql.SQL(", ").join(expression for _, expression in pairs),
            self._rows(),
            conflict or sql.SQL(""),
            with_marks=bool(self._key),
        )

    # Parts of the statements.

    @property
    def _listed_key(self) -> sql.Composed:
        return keys.listed(self._key)

    def _rows(self) -> sql.Composable:
        """Select the staged rows as `s`.

        With a key, select only the last row of each key; its parameter is the batches' marks.
        """
        if self._key:
            return keys.last_records(self._staging.name, self._key)
        return sql.SQL("{} AS s").format(self._staging.name.quoted())

    def _do(self, command: LiteralString, *parts: sql.Composable, with_marks: bool = False) -> None:
        marks = [batch_mark(batch) for batch in self._committed]
        self._cursor.execute(sql.SQL(command).format(*parts), (marks,) if with_marks else None)


def _expressions(staged: dict[str, Column], target: Table) -> Pairs:
    """Return each target column to fill, and the expression to fill it with."""
    return [
        (name, _converted(name, column.type, target.columns[name]))
        for name, column in staged.items()
        if column.type is not ColumnType.NULL
    ]


def _converted(name: str, kind: ColumnType, column: TableColumn) -> sql.Composable:
    """Convert the staged value to the target column's type. A type that Drover would not choose is cast to."""
    value = sql.Identifier("s", name)
    if column.kind not in {None, ColumnType.NULL}:
        return widened(value, kind, column.kind)
    if column.category == "S":  # Assignment checks the length and fails; a cast would truncate.
        return widened(value, kind, ColumnType.STRING)
    return sql.SQL("{}::{}").format(value, sql.SQL(column.base))
