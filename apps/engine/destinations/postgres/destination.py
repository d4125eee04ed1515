"""The PostgreSQL destination: COPY into a staging table, publish in one transaction."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import polars as pl
from loguru import logger
from psycopg import sql
from psycopg.errors import UniqueViolation

from apps.engine.contract import CheckStep, DestinationSpec, StorageRoot
from apps.engine.destinations import checking
from apps.engine.destinations.base import Batch, Destination, Publication
from apps.engine.destinations.checking import Step, run_steps
from apps.engine.destinations.postgres import connection as postgres
from apps.engine.destinations.postgres.config import PostgresConfig
from apps.engine.destinations.postgres.copying import replace_nul
from apps.engine.destinations.postgres.identifiers import (
    TableName,
    column_name,
    column_names,
    rename_columns,
    staging_name,
    table_name,
)
from apps.engine.destinations.postgres.keys import are_unique, has_comparable_key
from apps.engine.destinations.postgres.properties import CopiedProperties
from apps.engine.destinations.postgres.publications import Publications, TargetState, lock_job
from apps.engine.destinations.postgres.publishing import KeptColumns, Publishing
from apps.engine.destinations.postgres.reading import READ_ONLY, read_rows
from apps.engine.destinations.postgres.staging import Staging
from apps.engine.destinations.postgres.tables import (
    find_table,
    has_row,
    has_rows,
    window_condition,
)
from apps.engine.destinations.stored_rows import RowWindow, StoredRows, TableGone
from apps.engine.failures import ConfigurationError, ContractError
from apps.engine.frames.copied import CopiedRows
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable
from apps.engine.kept_connections import FORGET_SESSION, kept_connections
from apps.engine.postgres import Connection, Cursor


class PostgresDestination(Destination):
    """One table of one database.

    With `replace` and a primary key the last record of each key is kept, as with `merge`.
    """

    Config = PostgresConfig
    config: PostgresConfig
    type_system = "postgres"

    def __init__(
        self,
        config: PostgresConfig,
        *,
        spec: DestinationSpec,
        job_id: str,
        data: StorageRoot,
        allow_private_networks: bool = False,
    ) -> None:
        super().__init__(
            config,
            spec=spec,
            job_id=job_id,
            data=data,
            allow_private_networks=allow_private_networks,
        )
        if spec.write_mode == "merge" and not spec.primary_key:
            raise ConfigurationError("The write mode merge needs a primary key")
        self.longest_step_seconds = max(self.longest_step_seconds, 4.0 * config.statement_timeout)
        self._target = table_name(spec.table, config.schema_)
        self._key = [] if spec.write_mode == "append" else list(spec.primary_key)
        self._copies = CopiedProperties(config.copy_comments, config.copy_not_null)
        self._staging = Staging(
            staging_name(self._target, job_id),
            has_row_numbers=bool(self._key),
            copies=self._copies,
        )
        self._publications = Publications(self._target)
        self._connection: Connection | None = None
        self._kept_columns = KeptColumns()
        self._held = ExitStack()  # the transaction of the only batch, until it is published
        self._held_cursor: Cursor | None = None
        self._has_older_publications = True  # whether there may be records of older ones

    def check(self) -> Iterator[CheckStep]:
        return run_steps(self._check_steps())

    def open(self, committed: Sequence[Batch]) -> None:
        with self._open_transaction(lock_job(self._staging.name)) as cursor:
            self.copy_version = cursor.connection.info.server_version // 10_000
            existing = self._publications.find_existing(cursor, self._staging.name)
            if not (existing.publications and existing.batches):
                _create_schema(cursor, self._target.schema)
                self._publications.create_table(cursor)
                self._staging.create_batches_table(cursor)
            state = self._publications.read(cursor, self.job_id)
            if state.published_rows is not None:
                return
            self._kept_columns = self._make_publishing(cursor, (), state).kept_columns(
                self.spec.write_mode
            )
            self._staging.is_missing = not existing.staging
            if committed:
                self._staging.require_rows(cursor, committed)
            if existing.staging:
                self._staging.delete_uncommitted(cursor, committed)

    def kept_types(self) -> Mapping[str, str]:
        return self._kept_columns.types

    def read_rows(self, window: RowWindow) -> StoredRows:
        with self._open_transaction(READ_ONLY) as cursor:
            found = read_rows(cursor, self._target, window)
            # After a change of the connector's settings this may be another table of the same name.
            if not self._publications.is_written_by(cursor, self.data.prefix):
                raise TableGone(
                    f"There is a table {self._target}, but no run of the pipeline has written it: run the pipeline"
                )
            return found

    def text_fields(self) -> Callable[[str], bool]:
        texts = self._kept_columns.texts
        return lambda name: column_name(name) in texts

    def stage(
        self, frame: pl.DataFrame, batch: Batch, native: NativeTable = NO_NATIVE_TYPES
    ) -> None:
        if not frame.width:
            return
        frame, changed_values = replace_nul(frame)
        if changed_values:
            logger.warning(
                "Replaced U+0000, which PostgreSQL cannot store, with U+FFFD in {:,} values",
                changed_values,
            )
        self._require_keys(frame)
        names = column_names(frame.columns)
        frame, native = rename_columns(frame, names), native.renamed(names)
        with self._open_staging_transaction() as cursor:
            if self.holds_batch and are_unique(frame, list(map(column_name, self._key)), native):
                self._staging.has_row_numbers = False
            self._staging.add_batch(cursor, frame, batch, native)

    def stage_copied(
        self, rows: CopiedRows, columns: pl.DataFrame, batch: Batch, native: NativeTable
    ) -> None:
        names = column_names(columns.columns)
        copied_names = tuple(names[name] for name in rows.columns)
        columns, native = rename_columns(columns, names), native.renamed(names)
        with self._open_staging_transaction() as cursor:
            if self.holds_batch and self._are_unique(rows, columns, native):
                self._staging.has_row_numbers = False
            rows = replace(rows, columns=copied_names)
            self._staging.add_copied_batch(cursor, rows, columns, batch, native)

    def _are_unique(self, rows: CopiedRows, columns: pl.DataFrame, native: NativeTable) -> bool:
        """Whether the source says that no two rows have the same key."""
        is_key_unique = bool(rows.unique_by) and set(self._key).issuperset(rows.unique_by)
        return is_key_unique and has_comparable_key(
            columns, list(map(column_name, self._key)), native
        )

    def stage_nothing(self) -> None:
        if self._staging.is_missing:
            with self._open_transaction(lock_job(self._staging.name)) as cursor:
                self._staging.create_table(cursor, {})

    def publish(self, committed: Sequence[Batch]) -> Publication:
        with self._continue_transaction() as cursor:
            state = self._publications.lock_and_read(cursor, self.job_id)
            if state.published_rows is not None:
                self._staging.drop(cursor)
                return Publication(state.published_rows)
            return Publication(self._publish(cursor, committed, state))

    def has_rows(self) -> bool:
        with self._open_transaction() as cursor:
            table = find_table(cursor, self._target)
            window = self.spec.window
            if table is None or window is None:
                return table is not None and has_rows(cursor, table)
            return has_row(cursor, table.name, window_condition(table, window))

    def has_lost_table(self) -> bool:
        with self._open_transaction() as cursor:
            is_missing = find_table(cursor, self._target) is None
            return is_missing and not self._publications.had_no_rows(cursor, self.data.prefix)

    def has_published(self) -> bool:
        with self._open_transaction() as cursor:
            return self._publications.has_published(cursor, self.job_id)

    def abandon(self) -> None:
        with self._open_transaction(lock_job(self._staging.name)) as cursor:
            self._staging.drop(cursor)

    def delete_older_publications(self) -> None:
        if self._has_older_publications:
            with self._open_transaction() as cursor:
                self._publications.delete_older(cursor, self.data.prefix)

    def close(self) -> None:
        if self._held_cursor is not None:
            with contextlib.suppress(_RollBack), self._continue_transaction():
                raise _RollBack
        if self._connection is not None:
            kept_connections.give_back(self._connection, FORGET_SESSION)
            self._connection = None

    def _publish(self, cursor: Cursor, committed: Sequence[Batch], state: TargetState) -> int:
        if not self._staging.holds_only_batch:
            self._staging.lock(cursor)
            self._staging.delete_uncommitted(cursor, committed)
        if self.spec.protects_other_pipelines and state.table is not None:
            self._refuse_if_other_pipelines_wrote(cursor)
        publishing = self._make_publishing(cursor, committed, state)
        created_table, unknown_columns = publishing.run(self.spec.write_mode)
        rows = sum(batch.rows for batch in committed)
        self._publications.record(
            cursor,
            job_id=self.job_id,
            rows=rows,
            created_table=created_table,
            unknown_columns=unknown_columns,
            owner=self.data.prefix,
        )
        self._has_older_publications = state.has_publications
        return rows

    def _make_publishing(
        self, cursor: Cursor, committed: Sequence[Batch], state: TargetState
    ) -> Publishing:
        return Publishing(
            cursor,
            target=self._target,
            staging=self._staging,
            key=[column_name(name) for name in self._key],
            state=state,
            committed=committed,
            copies=self._copies,
            window=self.spec.window,
            newest_by=self.spec.newest_by,
        )

    def _refuse_if_other_pipelines_wrote(self, cursor: Cursor) -> None:
        if self._publications.has_rows_of_other_pipelines(cursor, self.data.prefix):
            raise ConfigurationError(
                f"Another pipeline has also written to {self._target}, and reading from the beginning would"
                " remove its rows: choose another table for this pipeline, or drop the table first"
            )

    def _require_keys(self, frame: pl.DataFrame) -> None:
        for name in self._key:
            missing_count = frame[name].null_count() if name in frame.columns else frame.height
            if missing_count:
                raise ContractError(
                    f"{missing_count:,} records have no value for the key {name!r}",
                    evidence=(f"the first such record is in a batch of {frame.height:,} rows",),
                )

    def _open_transaction(
        self, *first: sql.Composed, waits_for_disk: bool = True
    ) -> AbstractContextManager[Cursor]:
        """Open a cursor in a transaction, whose first statements have no parameters and no results that matter.

        Reconnects if the connection was lost between two batches.
        """
        if self._held_cursor is not None:
            return self._use_held(self._held_cursor)
        if self._connection is None or self._connection.closed:
            self._connection = postgres.connect(
                self.config, allow_private=self.allow_private_networks
            )
        return postgres.transaction(
            self._connection, self.config, *first, waits_for_disk=waits_for_disk
        )

    def _open_staging_transaction(self) -> AbstractContextManager[Cursor]:
        """Open the transaction of a batch. If it is the whole job, `publish` ends the transaction.

        Others need not wait for the disk: `publish` does, and until then a batch that a crash of the server has lost is
        noticed, and the job is read again.
        """
        if not (self.is_only_batch and self._staging.is_missing):
            return self._open_transaction(waits_for_disk=False)
        transaction = self._open_transaction(lock_job(self._staging.name))
        cursor = self._held_cursor = self._held.enter_context(transaction)
        self.holds_batch = self._staging.holds_only_batch = True
        return self._use_held(cursor)

    @contextlib.contextmanager
    def _use_held(self, cursor: Cursor) -> Iterator[Cursor]:
        with postgres.converting_errors(self.config):
            yield cursor

    @contextlib.contextmanager
    def _continue_transaction(self) -> Iterator[Cursor]:
        """Continue the transaction that has staged the only batch and end it, or use a new one."""
        cursor, self._held_cursor = self._held_cursor, None
        with self._held:
            yield cursor or self._held.enter_context(self._open_transaction())

    # The connection check.

    def _check_steps(self) -> Iterator[Step]:
        host, port, allow_private = self.config.host, self.config.port, self.allow_private_networks
        yield "resolve", lambda: checking.resolve(host, port, allow_private=allow_private)
        yield "connect", lambda: checking.connect(host, port, allow_private=allow_private)
        yield "authenticate", self._log_in
        yield "write", self._write_and_undo

    def _log_in(self) -> str:
        with self._open_transaction() as cursor:
            row = cursor.execute(
                "SELECT current_user, current_setting('server_version')"
            ).fetchone()
        return f"{row[0]} is logged in, PostgreSQL {row[1]}" if row else "Logged in"

    def _write_and_undo(self) -> str:
        """Create, fill and drop a table, then roll everything back."""
        probe = self._target.sibling(f"_drover_check_{uuid.uuid4().hex}")
        try:
            with self._open_transaction() as cursor:
                _create_schema(cursor, probe.schema)
                find_table(cursor, self._target)
                _write_probe(cursor, probe)
                raise _RollBack
        except _RollBack:
            return f"A table was created, filled and removed in {probe.schema}"
        finally:
            self.close()


class _RollBack(Exception):
    """Raised to roll the transaction back."""


def _create_schema(cursor: Cursor, schema: str) -> None:
    row = cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
    if row is not None:
        return
    # CREATE SCHEMA IF NOT EXISTS can still fail if another transaction creates the schema at the same time.
    with contextlib.suppress(UniqueViolation), cursor.connection.transaction():
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _write_probe(cursor: Cursor, probe: TableName) -> None:
    for command in ("CREATE TABLE {} (n bigint)", "INSERT INTO {} VALUES (1)", "DROP TABLE {}"):
        cursor.execute(sql.SQL(command).format(probe.identifier()))
