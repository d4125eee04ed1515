"""Make a job's staged rows visible in one transaction.

*replace*: if Drover created the target and no other object depends on it, the target is dropped, and the
staging table gets its name and its grants. Readers wait for a moment and then see the new rows.
A target with views, indexes, triggers, policies, comments, columns that Drover has not added, or another
owner is emptied and filled in place, so that it keeps all of these. In both cases, a REPEATABLE READ
transaction that began earlier and reads the table only afterwards may miss rows, because TRUNCATE and DDL do not
wait for it.

*append* inserts; with a window, it first deletes the rows of the window. *merge* inserts or updates by key; the last record of a key wins. With `newest_by`, a column, rows of the target with greater values stay.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import LiteralString

from psycopg import sql

from apps.engine.contract import WriteMode
from apps.engine.destinations.base import Batch
from apps.engine.destinations.postgres import keys
from apps.engine.destinations.postgres.fitting import changing_condition, convert_to_column
from apps.engine.destinations.postgres.identifiers import (
    BATCH_COLUMN,
    ROW_COLUMN,
    TableName,
    column_name,
)
from apps.engine.destinations.postgres.properties import NO_PROPERTIES, CopiedProperties
from apps.engine.destinations.postgres.publications import TargetState, table_shape
from apps.engine.destinations.postgres.staging import Staging, batch_mark, staged_columns
from apps.engine.destinations.postgres.swapping import can_be_replaced, copy_grants
from apps.engine.destinations.postgres.tables import (
    SchemaEvolution,
    Table,
    TableColumn,
    find_table,
    has_row,
    widen_column,
    window_condition,
)
from apps.engine.destinations.postgres.types import type_name, widen_expression
from apps.engine.failures import ContractError
from apps.engine.frames.columns import STRING, Column, ColumnType
from apps.engine.postgres import Cursor
from apps.engine.windows import CursorWindow

Assignments = list[tuple[str, sql.Composable]]


@dataclass(frozen=True, slots=True)
class KeptColumns:
    """The columns of a table that is not replaced: their types, and those that are text and have had a value."""

    types: Mapping[str, str] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()


class Publishing:
    """One publication, inside one transaction."""

    def __init__(
        self,
        cursor: Cursor,
        *,
        target: TableName,
        staging: Staging,
        key: Sequence[str],
        state: TargetState,
        committed: Sequence[Batch],
        copies: CopiedProperties = NO_PROPERTIES,
        window: CursorWindow | None = None,
        newest_by: str = "",
    ) -> None:
        self._cursor = cursor
        self._newest_by = newest_by
        self._target = target
        self._staging = staging
        self._key = key
        self._last_publication = state.last_publication
        self._committed = committed
        self._copies = copies
        self._window = window
        self._existing_table = state.table
        self._is_created_by_drover = (
            self._existing_table is None or self._existing_table.oid == state.last_publication.relid
        )

    def run(self, mode: WriteMode) -> tuple[Table | None, set[str]]:
        """Publish. Returns the target if Drover created it, and its columns that had no values."""
        if self._can_swap(mode):
            return self._swap_tables(mode)
        unknown_columns = self._fill_target(mode)
        return (self._find_target() if self._is_created_by_drover else None), unknown_columns

    # Replace the target by the staging table.

    def kept_columns(self, mode: WriteMode) -> KeptColumns:
        """Describe the columns of the target, unless the target will be replaced by another table."""
        if self._existing_table is None or self._is_replaceable(mode):
            return KeptColumns()
        columns = self._existing_table.columns.items()
        texts = {name for name, column in columns if column.category == "S"}
        types = {name: column.type for name, column in columns}
        return KeptColumns(types, frozenset(texts) - self._unknown_columns)

    @cached_property
    def _staged_table(self) -> Table:
        """The staging table, which is locked."""
        return self._staging.require_table(self._cursor)

    @property
    def _unknown_columns(self) -> frozenset[str]:
        """The columns that Drover has added and that have had no values."""
        is_own = self._is_created_by_drover
        return self._last_publication.unknown_columns if is_own else frozenset()

    def _can_swap(self, mode: WriteMode) -> bool:
        # If nothing was staged, the columns of a new table would be unknown.
        has_columns = self._existing_table is None or bool(staged_columns(self._staged_table))
        return has_columns and self._is_replaceable(mode)

    def _is_replaceable(self, mode: WriteMode) -> bool:
        if self._existing_table is None:
            return True
        is_unchanged = self._is_created_by_drover and self._last_publication.shape == table_shape(
            self._existing_table
        )
        return (
            mode == "replace"
            and is_unchanged
            and can_be_replaced(self._cursor, self._existing_table.oid, self._copies)
        )

    def _swap_tables(self, mode: WriteMode) -> tuple[Table | None, set[str]]:
        columns = staged_columns(self._staged_table)
        has_key = bool(self._key) and columns.keys() >= set(self._key)
        if has_key and self._staging.has_row_numbers:
            self._delete_older_records()
        if self._existing_table is not None:
            copy_grants(self._cursor, self._existing_table.oid, self._staged_table)
            self._execute("DROP TABLE {}", self._target.identifier())
        unknown_columns = {
            name for name, column in columns.items() if column.type is ColumnType.NULL
        }
        for name in unknown_columns:
            widen_column(self._cursor, self._staging.name, name, ColumnType.NULL, STRING)
        self._rename_staging()
        if has_key and mode == "merge":
            self._execute(
                "ALTER TABLE {} ADD PRIMARY KEY ({})", self._target.identifier(), self._key_columns
            )
        return self._new_table(unknown_columns), unknown_columns

    def _rename_staging(self) -> None:
        """Give the staging table the name of the target, without the columns that only staging tables have."""
        staging = self._staging.name.identifier()
        own_columns = [
            sql.SQL("DROP COLUMN {}").format(sql.Identifier(name))
            for name in (BATCH_COLUMN, ROW_COLUMN)
            if name in self._staged_table.columns
        ]
        if own_columns:
            self._execute("ALTER TABLE {} {}", staging, sql.SQL(", ").join(own_columns))
        self._execute("ALTER TABLE {} RENAME TO {}", staging, sql.Identifier(self._target.name))
        self._staging.unregister(self._cursor)

    def _new_table(self, unknown_columns: set[str]) -> Table | None:
        """Return the table that was the staging table, if Drover created the target before it."""
        if not self._is_created_by_drover:
            return None
        staged, hidden = self._staged_table, {BATCH_COLUMN, ROW_COLUMN}
        columns = {name: column for name, column in staged.columns.items() if name not in hidden}
        is_changed = bool(unknown_columns)
        return self._find_target() if is_changed else Table(self._target, staged.oid, columns)

    def _delete_older_records(self) -> None:
        self._execute(
            "DELETE FROM {} WHERE ctid IN (SELECT place FROM (SELECT s.ctid AS place,"
            " row_number() OVER (PARTITION BY {} ORDER BY {}) AS age FROM {}) AS aged"
            " WHERE age > 1)",
            self._staging.name.identifier(),
            keys.column_list(self._key, "s"),
            keys.NEWEST_FIRST,
            keys.rows_with_batch_position(self._staging.name, self._marks),
        )

    # Fill the target in place.

    def _fill_target(self, mode: WriteMode) -> set[str]:
        columns = staged_columns(self._staged_table)
        evolution = SchemaEvolution(
            self._cursor,
            staging=self._staged_table,
            target=self._find_target(),
            unknown_columns=set(self._unknown_columns),
        )
        unknown_columns = evolution.run(columns)
        target = self._find_target()
        if mode == "replace":
            self._empty_target(target)
        if self._window is not None:
            self._empty_window(target, columns, self._window)
        if any(batch.rows for batch in self._committed):
            self._refuse_changed_values(columns, target)
            self._refuse_long_texts(columns, target)
            assignments = _assignments(columns, target)
            if mode == "merge":
                self._merge_rows(target, assignments)
            else:
                self._insert_rows(assignments)
        self._copies.copy_comments(self._cursor, self._staged_table, self._target)
        self._staging.drop(self._cursor)
        return unknown_columns

    def _refuse_changed_values(self, staged_columns: dict[str, Column], target: Table) -> None:
        """Raise ContractError if a column of the user, such as numeric(10,2) or timestamp(0), would change a value."""
        for name, column in staged_columns.items():
            existing = target.columns[name]
            is_own_type = existing.column_type is not None or existing.type == type_name(column)
            if column.type is ColumnType.NULL or is_own_type:
                continue
            changes = changing_condition(sql.Identifier(name), column.type, existing)
            if changes is not None and has_row(self._cursor, self._staging.name, changes):
                raise ContractError(
                    f"The column {name!r} of {self._target} has the type {existing.type}, which would change a value:"
                    " give the column a type that stores all values"
                )

    def _refuse_long_texts(self, staged_columns: dict[str, Column], target: Table) -> None:
        """Raise ContractError if a text does not fit into a column of the user, such as varchar(3).

        PostgreSQL would name no column, and would drop spaces at the end of the text.
        """
        for name, column in staged_columns.items():
            existing = target.columns[name]
            length = existing.text_length
            if length is None or column.type in (ColumnType.NULL, ColumnType.NATIVE):
                continue
            text = widen_expression(sql.Identifier(name), column.type, ColumnType.STRING)
            is_too_long = sql.SQL("char_length({}) > {}").format(text, sql.Literal(length))
            if has_row(self._cursor, self._staging.name, is_too_long):
                raise ContractError(
                    f"The column {name!r} of {self._target} has the type {existing.type}, and a value is longer:"
                    " give the column a type that stores all values"
                )

    def _find_target(self) -> Table:
        table = find_table(self._cursor, self._target)
        assert table is not None, "the target exists, and is locked"  # noqa: S101
        return table

    def _empty_target(self, target: Table) -> None:
        row = self._cursor.execute(
            "SELECT has_table_privilege(%(oid)s::oid, 'TRUNCATE') AND NOT EXISTS"
            " (SELECT FROM pg_constraint WHERE confrelid = %(oid)s::oid)",
            {"oid": target.oid},
        ).fetchone()
        self._execute(
            "TRUNCATE {}" if row and row[0] else "DELETE FROM {}", self._target.identifier()
        )

    def _empty_window(
        self, target: Table, staged_columns: dict[str, Column], window: CursorWindow
    ) -> None:
        """Delete the rows of the window. Raises ContractError if a staged row is outside of it."""
        condition = window_condition(target, window)
        is_outside = sql.SQL("({}) IS NOT TRUE").format(condition)
        if any(batch.rows for batch in self._committed) and (
            column_name(window.field) not in staged_columns
            or has_row(self._cursor, self._staging.name, is_outside)
        ):
            raise ContractError(
                f"A record is not in the window of {window.field!r} that the run replaces"
            )
        self._execute("DELETE FROM {} WHERE {}", self._target.identifier(), condition)

    def _merge_rows(self, target: Table, assignments: Assignments) -> None:
        if self._newest_by:
            self._remove_older_rows(assignments)
        if keys.ensure_unique_index(self._cursor, target, self._key):
            self._insert_rows(assignments, self._on_conflict(assignments))
            return
        self._execute(
            "DELETE FROM {} AS t USING {} WHERE {}",
            self._target.identifier(),
            self._staged_rows(),
            self._same_key(assignments),
        )
        self._insert_rows(assignments)

    def _remove_older_rows(self, assignments: Assignments) -> None:
        """Remove the staged rows for whose keys the target has newer rows, by the values of a column."""
        newest_by = column_name(self._newest_by)
        value = dict(assignments).get(newest_by, sql.SQL("NULL"))
        self._execute(
            "DELETE FROM {} AS s USING {} AS t WHERE {} AND ({} IS NULL OR t.{} > {})",
            self._staging.name.identifier(),
            self._target.identifier(),
            self._same_key(assignments),
            value,
            sql.Identifier(newest_by),
            value,
        )

    def _same_key(self, assignments: Assignments) -> sql.Composed:
        """Return the condition that a row of the target as `t` and a staged row as `s` have the same key."""
        return sql.SQL(" AND ").join(
            sql.SQL("t.{0} = {1}").format(sql.Identifier(name), expression)
            for name, expression in assignments
            if name in self._key
        )

    def _on_conflict(self, assignments: Assignments) -> sql.Composable:
        updates = [
            sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
            for name, _ in assignments
            if name not in self._key
        ]
        if not updates:
            return sql.SQL("ON CONFLICT ({}) DO NOTHING").format(self._key_columns)
        return sql.SQL("ON CONFLICT ({}) DO UPDATE SET {}").format(
            self._key_columns, sql.SQL(", ").join(updates)
        )

    def _insert_rows(
        self, assignments: Assignments, conflict: sql.Composable | None = None
    ) -> None:
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in assignments)
        self._execute(
            "INSERT INTO {}{} SELECT {} FROM {} {}",
            self._target.identifier(),
            sql.SQL(" ({})").format(names) if assignments else sql.SQL(""),
            sql.SQL(", ").join(expression for _, expression in assignments),
            self._staged_rows(),
            conflict or sql.SQL(""),
        )

    # Parts of the statements.

    @property
    def _key_columns(self) -> sql.Composed:
        return keys.column_list(self._key)

    def _staged_rows(self) -> sql.Composable:
        """Return SQL for the staged rows as `s`; with a key, only for the last row of each key."""
        if self._key and self._staging.has_row_numbers:
            return keys.last_records(self._staging.name, self._key, self._marks)
        return sql.SQL("{} AS s").format(self._staging.name.identifier())

    @property
    def _marks(self) -> list[uuid.UUID]:
        return [batch_mark(batch) for batch in self._committed]

    def _execute(self, command: LiteralString, *parts: sql.Composable) -> None:
        self._cursor.execute(sql.SQL(command).format(*parts))


def _assignments(staged_columns: dict[str, Column], target: Table) -> Assignments:
    """Return the target's columns to fill, each with the expression for its value."""
    return [
        (name, _conversion(name, column, target.columns[name]))
        for name, column in staged_columns.items()
        if column.type is not ColumnType.NULL
    ]


def _conversion(name: str, staged: Column, column: TableColumn) -> sql.Composable:
    """Return SQL that converts the staged value to the target column's type.

    A type that Drover never chooses for a column is reached by a cast.
    """
    value, staged_type = sql.Identifier("s", name), staged.type
    if column.type == type_name(staged):
        return value
    if column.column_type not in {None, ColumnType.NULL}:
        return widen_expression(value, staged_type, column.column_type)
    return convert_to_column(value, staged_type, column)
