"""A class for each kind of destination. It creates destinations for a job, and reads the visible rows."""

from __future__ import annotations

import csv
import io
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import duckdb
import orjson
import polars as pl
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from apps.engine.contract import DestinationSpec, StorageRoot, WriteMode
from apps.engine.destinations.base import Batch, Destination, Publication
from apps.engine.destinations.duckdb.database import OPTIONS
from apps.engine.frames.decoding import StreamSchema
from apps.engine.stores import Store
from apps.engine.stores.opening import open_root
from apps.engine.sync.build import build_destination
from tests.engine.destinations.servers import BUCKET, Servers

Row = Mapping[str, Any]


class Target(ABC):
    """One destination and the place to which it writes."""

    kind: str
    table = "flights"

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.data = StorageRoot(f"file://{folder}", "org/1/pipeline/2")

    def config(self) -> dict[str, Any]:
        return {}

    def make_destination(
        self,
        job_id: str,
        mode: WriteMode = "replace",
        key: Sequence[str] = (),
        **settings: Any,
    ) -> Destination:
        spec = self.spec(mode, key, **settings)
        return build_destination(spec, job_id=job_id, data=self.data, allow_private_networks=True)

    def spec(self, mode: WriteMode, key: Sequence[str] = (), **settings: Any) -> DestinationSpec:
        return DestinationSpec(
            self.kind, self.config() | settings, self.table, mode, primary_key=tuple(key)
        )

    @abstractmethod
    def read_rows(self) -> list[dict[str, Any]] | None:
        """Return the visible rows, or None if nothing is published yet."""

    @abstractmethod
    def count_staged(self) -> int:
        """Return the number of staged objects, of any job."""

    def release_locks(self) -> None:  # noqa: B027 - most targets hold no locks
        """Release the locks of readers, so that other processes can write."""

    def close(self) -> None:  # noqa: B027 - most targets hold no resources
        """Release the resources of readers."""


class SyncJob:
    """A job that writes to a target, with the list of batches that the engine would have committed."""

    def __init__(
        self, target: Target, mode: WriteMode = "replace", key: Sequence[str] = (), **settings: Any
    ) -> None:
        self.target, self.mode, self.key, self.settings = target, mode, key, settings
        self.job_id = uuid4().hex
        self.schema = StreamSchema()
        self.committed: list[Batch] = []
        self._iterations = itertools.count()
        self.destination = self.start_attempt()

    def start_attempt(self) -> Destination:
        """Open the destination again with the committed batches, as a new process would."""
        self.destination = self.target.make_destination(
            self.job_id, self.mode, self.key, **self.settings
        )
        self.destination.open(tuple(self.committed))
        return self.destination

    def stage(self, rows: Sequence[Row] | pl.DataFrame) -> Batch:
        """Stage a batch without committing it."""
        frame = (
            self.schema.conform(rows)
            if isinstance(rows, pl.DataFrame)
            else self.schema.decode(rows).frame
        )
        iteration = next(self._iterations)
        batch = Batch(uuid4().hex, iteration, iteration, frame.height)
        self.destination.stage(frame, batch)
        return batch

    def write(self, rows: Sequence[Row] | pl.DataFrame) -> Batch:
        """Stage and commit a batch."""
        batch = self.stage(rows)
        self.committed.append(batch)
        return batch

    def publish(self) -> Publication:
        if not self.committed:
            self.destination.stage_nothing()
        return self.destination.publish(tuple(self.committed))


def sync(
    target: Target,
    *batches: Sequence[Row],
    mode: WriteMode = "replace",
    key: Sequence[str] = (),
    **settings: Any,
) -> Publication:
    """Run a whole job from staging to publishing."""
    job = SyncJob(target, mode, key, **settings)
    for rows in batches:
        job.write(rows)
    published = job.publish()
    job.destination.close()
    return published


class FileTarget(Target):
    """Files in Drover's own folder, which readers find through the manifest."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        super().__init__(servers, folder)
        self.store: Store = open_root(self.data)

    def read_manifest(self) -> dict[str, Any] | None:
        data = self.store.read(f"{self.table}/manifest.json")
        return None if data is None else dict(orjson.loads(data))

    def read_parts(self) -> list[bytes] | None:
        """Return the content of the visible files. Start again with a new manifest if a file was removed meanwhile."""
        while True:
            manifest = self.read_manifest()
            if manifest is None:
                return None
            contents = [
                self.store.read(f"{self.table}/{part['key']}") for part in manifest["parts"]
            ]
            if None not in contents:
                return [part for part in contents if part is not None]

    def read_rows(self) -> list[dict[str, Any]] | None:
        parts = self.read_parts()
        return None if parts is None else [row for part in parts for row in self.decode(part)]

    def count_staged(self) -> int:
        return len(list(self.store.entries(f"{self.table}/_staging/")))

    @abstractmethod
    def decode(self, part: bytes) -> list[dict[str, Any]]: ...

    def close(self) -> None:
        self.store.close()


class ParquetTarget(FileTarget):
    kind = "parquet"

    def decode(self, part: bytes) -> list[dict[str, Any]]:
        return pl.read_parquet(part).to_dicts()


class JsonlTarget(FileTarget):
    kind = "jsonl"

    def decode(self, part: bytes) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in part.splitlines()]


class CsvTarget(FileTarget):
    kind = "csv"

    def decode(self, part: bytes) -> list[dict[str, Any]]:
        rows = csv.DictReader(io.StringIO(part.decode(), newline=""), strict=True)
        return [{name: value or None for name, value in row.items()} for row in rows]


class S3Target(ParquetTarget):
    """A user's bucket on an S3 server."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self._endpoint, self._prefix = servers.s3_url, uuid4().hex
        self.data = StorageRoot(f"file://{folder}", "unused")
        options = {
            "access_key": "test-key",
            "secret_key": "test-secret",
            "endpoint_override": self._endpoint.removeprefix("http://"),
            "scheme": "http",
        }
        self.store = open_root(StorageRoot(f"s3://{BUCKET}", self._prefix, options))

    def config(self) -> dict[str, Any]:
        return {
            "bucket_url": f"s3://{BUCKET}/{self._prefix}",
            "access_key_id": "test-key",
            "secret_access_key": "test-secret",
            "endpoint_url": self._endpoint,
        }


class GcsTarget(ParquetTarget):
    """Drover's own storage in Google Cloud Storage."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.data = StorageRoot(
            f"gs://{BUCKET}", f"org/{uuid4().hex}", {"endpoint_override": servers.gcs_url}
        )
        self.store = open_root(self.data)


class PostgresTarget(Target):
    """A separate schema of a real PostgreSQL server."""

    kind = "postgres"

    def __init__(self, servers: Servers, folder: Path) -> None:
        super().__init__(servers, folder)
        self.schema = f"s{uuid4().hex[:12]}"
        self.url = servers.postgres_url
        self._reader = psycopg.connect(self.url, autocommit=True)

    def config(self) -> dict[str, Any]:
        address = urlsplit(self.url)
        return {
            "host": address.hostname,
            "port": address.port,
            "database": address.path.strip("/"),
            "user": address.username,
            "password": address.password,
            "schema": self.schema,
        }

    def query(self, text: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement and return its rows. `{schema}` and `{table}` in the text stand for the target's names."""
        names = {
            "schema": sql.Identifier(self.schema),
            "table": sql.Identifier(self.schema, self.table),
        }
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(sql.SQL(text).format(**names), values)
            return cursor.fetchall() if cursor.description else []

    def read_rows(self) -> list[dict[str, Any]] | None:
        try:
            cursor = self._reader.execute(
                sql.SQL("SELECT * FROM {}").format(sql.Identifier(self.schema, self.table))
            )
        except psycopg.errors.UndefinedTable:
            return None
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def count_staged(self) -> int:
        found = self.query(
            "SELECT count(*) AS n FROM pg_tables WHERE schemaname = %s"
            " AND tablename LIKE '\\_drover\\_stg%%'",
            self.schema,
        )
        return int(found[0]["n"])

    def close(self) -> None:
        self._reader.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema))
        )
        self._reader.close()


class DuckdbTarget(Target):
    """A database file in Drover's own folder."""

    kind = "duckdb"

    def __init__(self, servers: Servers, folder: Path) -> None:
        super().__init__(servers, folder)
        self.store = open_root(self.data)
        self.file = folder / self.data.prefix / "warehouse.duckdb"
        self._reader: duckdb.DuckDBPyConnection | None = None

    def read_rows(self) -> list[dict[str, Any]] | None:
        if not self.file.exists():
            return None
        # DuckDB lets readers and writers of one process open the file at the same time.
        self._reader = self._reader or duckdb.connect(self.file, config=OPTIONS)
        try:
            cursor = self._reader.execute(f'FROM "{self.table}"')
        except duckdb.CatalogException:
            return None
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def count_staged(self) -> int:
        return len(list(self.store.entries("warehouse.staging/")))

    def release_locks(self) -> None:
        if self._reader:
            self._reader.close()
        self._reader = None

    close = release_locks


TARGETS: dict[str, Callable[[Servers, Path], Target]] = {
    "parquet": ParquetTarget,
    "parquet on s3": S3Target,
    "parquet on gcs": GcsTarget,
    "jsonl": JsonlTarget,
    "csv": CsvTarget,
    "postgres": PostgresTarget,
    "duckdb": DuckdbTarget,
}
