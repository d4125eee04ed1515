"""The DuckDB destination: staged Parquet parts, published in one transaction of one file."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from apps.engine.contract import CheckStep, DestinationSpec, FileMoved, OutputFile, StorageRoot
from apps.engine.destinations.base import Batch, Destination, Publication, no_text_fields
from apps.engine.destinations.checking import Step, run_steps
from apps.engine.destinations.duckdb.config import DuckdbConfig
from apps.engine.destinations.file_sets.staging import Staging
from apps.engine.destinations.names import valid_file_set
from apps.engine.destinations.stored_rows import RowWindow, StoredRows
from apps.engine.failures import ConfigurationError, ContractError, DestinationError
from apps.engine.frames.native import NO_NATIVE_TYPES, NativeTable
from apps.engine.stores.local import LocalStore
from apps.engine.stores.opening import local_folder

if TYPE_CHECKING:
    import duckdb

    from apps.engine.destinations.duckdb.incoming import IncomingFiles


SHARED_FILE = "database.duckdb"
SHARED_LOCK_TIMEOUT = 1800  # seconds to wait for other streams that write to the same file


class DuckdbDestination(Destination):
    """One table of one database file: `<data>/<database>.duckdb`, or the file in the shared folder.

    Staged rows are always in the pipeline's own folder. The file is opened and locked to publish, but not while rows are staged. With `replace` and a primary key the
    last record of each key is kept, as with `merge`.
    """

    Config = DuckdbConfig
    config: DuckdbConfig
    type_system = "arrow"

    def __init__(
        self,
        config: DuckdbConfig,
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
        folder = local_folder(data)
        if folder is None:
            raise ConfigurationError(
                "DuckDB needs local storage, but Drover's storage is a bucket:"
                " choose Parquet files instead"
            )
        if spec.write_mode == "merge" and not spec.primary_key:
            raise ConfigurationError("The write mode merge needs a primary key")
        schema, _, table = valid_file_set(spec.table).rpartition(".")
        if table.lower().startswith("_drover_"):
            raise ConfigurationError("Table names that begin with _drover_ are reserved for Drover")
        self._schema, self._table = schema or "main", table
        self._key_fields = () if spec.write_mode == "append" else spec.primary_key
        self._folder = f"{config.database}.staging/{spec.table}"
        root = local_folder(StorageRoot(data.url, "")) or folder
        self._store = LocalStore(root, data.prefix)
        name = SHARED_FILE if spec.shared_folder else f"{config.database}.duckdb"
        self._key = f"{spec.shared_folder or data.prefix}/{name}"
        self._file = root / self._key
        has_other_writers = bool(spec.shared_folder) or spec.has_companions
        self._lock_timeout = max(
            config.lock_timeout, SHARED_LOCK_TIMEOUT if has_other_writers else 0
        )
        self._staging = Staging(self._store, self._folder, job_id, "lz4")

    def check(self) -> Iterator[CheckStep]:
        return run_steps(self._check_steps())

    def open(self, committed: Sequence[Batch]) -> None:
        self._opened_at = datetime.now(UTC).replace(tzinfo=None)
        self._staging.remove_abandoned_parts()
        try:
            self._staging.roll_back(committed)
        except DestinationError:
            if self._published_rows() is None:
                raise

    def kept_types(self) -> Mapping[str, str]:
        from apps.engine.destinations.duckdb.publishing import existing_types

        if self.spec.write_mode == "replace" or not self._file.exists():
            return {}
        with self._open_database() as connection:
            return existing_types(connection, self._schema, self._table)

    def text_fields(self) -> Callable[[str], bool]:
        from apps.engine.destinations.duckdb.publishing import text_columns

        if self.spec.write_mode == "replace" or not self._file.exists():
            return no_text_fields
        with self._open_database() as connection:
            texts = text_columns(connection, self._schema, self._table)
        return lambda name: name.lower() in texts

    def stage(
        self, frame: pl.DataFrame, batch: Batch, native: NativeTable = NO_NATIVE_TYPES
    ) -> None:
        self._require_keys(frame)
        if frame.width:
            self._staging.add(frame, batch, native)

    def publish(self, committed: Sequence[Batch]) -> Publication:
        from apps.engine.destinations.duckdb.incoming import IncomingFiles

        try:
            incoming = IncomingFiles(self._store, self._staging, committed)
        except FileNotFoundError as error:
            rows = self._published_rows()
            if rows is None:
                raise DestinationError("Data that was staged for this sync is missing") from error
        else:
            rows = self._publish(incoming)
        self._staging.clear()
        return self._describe_publication(rows)

    def has_rows(self) -> bool:
        from apps.engine.destinations.duckdb.publishing import has_rows

        if not self._file.exists():
            return False
        with self._open_database() as connection:
            return has_rows(connection, self._schema, self._table, self.spec.window)

    def has_lost_table(self) -> bool:
        from apps.engine.destinations.duckdb.publishing import has_lost_table

        if not self._file.exists():
            return True
        with self._open_database() as connection:
            return has_lost_table(connection, self._schema, self._table)

    def has_published(self) -> bool:
        from apps.engine.destinations.duckdb.publishing import has_published

        if not self._file.exists():
            return False
        with self._open_database() as connection:
            return has_published(connection, self.job_id, self._schema, self._table)

    def find_publication(self) -> Publication | None:
        rows = self._published_rows()
        return None if rows is None else self._describe_publication(rows)

    def abandon(self) -> None:
        self._staging.clear()

    def _describe_publication(self, rows: int) -> Publication:
        output = self._output_file(rows)
        if self.spec.write_mode == "replace":
            return Publication(rows, (output,), withdrawn_prefix=output.key)
        # The rows of earlier runs are still in the file, which has another size now.
        moved = FileMoved(output.key, output.key, output.bytes)
        return Publication(rows, (output,), moved=(moved,))

    def read_rows(self, window: RowWindow) -> StoredRows:
        from apps.engine.destinations.duckdb.reading import read_rows

        return read_rows(self._file, self._schema, self._table, window)

    def _publish(self, incoming: IncomingFiles) -> int:
        from apps.engine.destinations.duckdb.database import merge_write_ahead_log
        from apps.engine.destinations.duckdb.publishing import (
            Publishing,
            published_row_count,
            refuse_if_superseded,
            target_name,
        )

        with self._open_database() as connection:
            if not incoming.rows and published_row_count(connection, self.job_id) is None:
                refuse_if_superseded(
                    connection, target_name(self._schema, self._table), self._opened_at
                )
            publishing = Publishing(
                connection,
                incoming,
                schema=self._schema,
                table=self._table,
                key=self._key_fields,
                owner=self.data.prefix,
                window=self.spec.window,
                newest_by=self.spec.newest_by,
            )
            rows = publishing.run(
                self.spec.write_mode,
                self.job_id,
                protects_other_pipelines=self.spec.protects_other_pipelines,
            )
            merge_write_ahead_log(connection)
            return rows

    def _published_rows(self) -> int | None:
        if not self._file.exists():
            return None
        from apps.engine.destinations.duckdb.database import merge_write_ahead_log
        from apps.engine.destinations.duckdb.publishing import published_row_count

        with self._open_database() as connection:
            rows = published_row_count(connection, self.job_id)
            if rows is not None:
                merge_write_ahead_log(connection)
            return rows

    def _open_database(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        from apps.engine.destinations.duckdb.database import open_database

        staging = self._store.path(self._folder)
        return open_database(self._file, staging=staging, lock_timeout=self._lock_timeout)

    def _output_file(self, rows: int) -> OutputFile:
        return OutputFile(
            name=f"{self.config.database}.duckdb",
            key=self._key,
            bytes=self._file.stat().st_size,
            rows=rows,
            media_type="application/vnd.duckdb",
        )

    def _require_keys(self, frame: pl.DataFrame) -> None:
        for name in self._key_fields if frame.height else ():
            missing_count = frame[name].null_count() if name in frame.columns else frame.height
            if missing_count:
                raise ContractError(f"{missing_count:,} records have no value for the key {name!r}")

    # The connection check.

    def _check_steps(self) -> Iterator[Step]:
        yield "write", self._write_and_remove
        if self._file.exists():
            yield "lock", self._open_and_query

    def _write_and_remove(self) -> str:
        from apps.engine.destinations.duckdb.database import open_database

        probe = self._file.with_name(f".check-{uuid.uuid4().hex}.duckdb")
        try:
            with open_database(probe, staging=probe.parent, lock_timeout=0) as connection:
                connection.execute("CREATE TABLE probe AS SELECT 1 AS n")
        finally:
            for file in probe.parent.glob(f"*{probe.name}*"):
                file.unlink(missing_ok=True)
        return "A database file was created and removed"

    def _open_and_query(self) -> str:
        with self._open_database() as connection:
            connection.execute("SELECT 1")
        return f"{self._file.name} can be opened"
