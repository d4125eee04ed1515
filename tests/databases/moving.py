"""Move the tables of a database with one pipeline, and read what has arrived with psycopg, DuckDB and pyarrow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from django.core.files.storage import default_storage
from psycopg import sql

from apps.connectors.storage import data_root, database_folder
from apps.pipelines.models import Pipeline
from apps.runs.execute import Worker
from apps.runs.models import Run
from local.database.postgres import ADMINISTRATOR, EmbeddedPostgres
from tests.databases.source_tables import SESSION, Row, raw_rows
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.processes import start_run
from tests.world import World, make_connector, make_pipeline

KINDS = ("postgres", "duckdb", "parquet")
SELECT_TYPES = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
RUNS = "/api/v1/runs"
PIPELINES = "/api/v1/pipelines"


@dataclass(frozen=True, slots=True)
class Arrived:
    """The types and the rows of a table of the destination, as its own reader returns them."""

    types: dict[str, str]  # by column
    rows: list[Row]


@dataclass
class Mover:
    """A source, a destination of each kind, and a worker that moves tables between them."""

    world: World
    worker: Worker
    source: SourceDatabase
    server: EmbeddedPostgres
    target: str  # the name of the PostgreSQL database of the destination
    connector: Any = None  # of the destination

    def create(self, kind: str, *match: str, **parts: Any) -> Pipeline:
        """Create a pipeline that moves the streams that match."""
        source = make_connector(
            self.world, kind="postgres", config={**self.source.config, **parts.pop("source", {})}
        )
        self.connector = make_connector(
            self.world, role="destination", kind=kind, config=self._settings(kind)
        )
        config = {
            "source": {"connector_id": str(source.pk)},
            "destination": {"connector_id": str(self.connector.pk)},
            **({"patterns": {"match": list(match), **parts.pop("defaults", {})}} if match else {}),
            **parts,
        }
        pipeline: Pipeline = make_pipeline(self.world, config=config)
        return pipeline

    def _settings(self, kind: str) -> dict[str, Any]:
        if kind != "postgres":
            return {}
        return {
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": self.target,
            "user": ADMINISTRATOR,
            "password": self.server.password,
            "schema": "arrived",
        }

    def run(self, pipeline: Pipeline) -> UUID:
        run_id = start_run(self.world, pipeline)
        work_until_idle(self.worker)
        return run_id

    def run_to_success(self, pipeline: Pipeline) -> UUID:
        run_id = self.run(pipeline)
        state = self.state(run_id)
        assert state["status"] == "succeeded", (state["failure"], self.failures(run_id))
        return run_id

    def continue_run(self) -> None:
        """Make the next attempt of the runs that wait, at once."""
        with self.world.scope():
            Run.objects.for_org(self.world.org).update(not_before=None)
        work_until_idle(self.worker)

    def state(self, run_id: UUID) -> dict[str, Any]:
        run: dict[str, Any] = self.world.client().get(f"{RUNS}/{run_id}").json()
        return run

    def streams(self, run_id: UUID) -> dict[str, dict[str, Any]]:
        """Return the streams of the run, by name."""
        client, rows, offset = self.world.client(), [], 0
        while offset is not None:
            page = client.get(f"{RUNS}/{run_id}/streams", {"offset": offset, "limit": 200}).json()
            rows += page["results"]
            offset = page["next_offset"]
        return {row["stream"]: row for row in rows}

    def failures(self, run_id: UUID) -> dict[str, str]:
        return {
            name: row["failure"]["message"]
            for name, row in self.streams(run_id).items()
            if row["failure"]
        }

    def log(self, run_id: UUID) -> str:
        lines = self.world.client().get(f"{RUNS}/{run_id}/logs").json()["lines"]
        return "\n".join(line["message"] for line in lines)

    def arrived(self, pipeline: Pipeline, run_id: UUID) -> dict[str, Arrived]:
        """Return the tables of the streams of a run, by the names of the streams. A table that is missing is left out."""
        read = {"postgres": self._in_postgres, "duckdb": self._in_duckdb}.get(
            pipeline.destination_kind
        )
        tables = {name: row["table"] for name, row in self.streams(run_id).items()}
        found = read(tables) if read else self._in_parquet(pipeline, tables)
        return {name: table for name, table in found.items() if table is not None}

    def _in_postgres(self, tables: dict[str, str]) -> dict[str, Arrived | None]:
        found: dict[str, Arrived | None] = {}
        with psycopg.connect(self.server.url(self.target), autocommit=True) as connection:
            connection.execute(SESSION.encode())
            for name, table in tables.items():
                schema, _, name_of_table = table.rpartition(".")
                identifier = sql.Identifier(schema or "arrived", name_of_table)
                types: dict[str, str] = dict(
                    connection.execute(SELECT_TYPES, [identifier.as_string(connection)]).fetchall()
                )
                query = sql.SQL("SELECT {} FROM {}").format(
                    sql.SQL(", ").join([sql.Identifier(column) for column in types]), identifier
                )
                found[name] = Arrived(types, raw_rows(connection, query)) if types else None
        return found

    def _in_duckdb(self, tables: dict[str, str]) -> dict[str, Arrived | None]:
        folder = default_storage.path(database_folder(self.world.org.pk, self.connector.pk))
        found: dict[str, Arrived | None] = {}
        with duckdb.connect(Path(folder) / "database.duckdb", read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            present = {
                name
                for (name,) in connection.execute(
                    "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
                ).fetchall()
            }
            for name, table in tables.items():
                schema, _, name_of_table = table.rpartition(".")
                full_name = f"{schema or 'main'}.{name_of_table}"
                if full_name not in present:
                    found[name] = None
                    continue
                quoted = ".".join(f'"{part}"' for part in full_name.split("."))
                types = connection.execute(f"DESCRIBE {quoted}").fetchall()
                rows = connection.execute(f"FROM {quoted}").fetchall()
                found[name] = Arrived({row[0]: row[1] for row in types}, rows)
        return found

    def _in_parquet(self, pipeline: Pipeline, tables: dict[str, str]) -> dict[str, Arrived | None]:
        root = Path(default_storage.path(data_root(self.world.org.pk, pipeline.pk).prefix))
        return {name: read_parquet(root / table) for name, table in tables.items()}


def read_parquet(folder: Path) -> Arrived | None:
    """Return the rows of the files that the manifest of a folder lists, or None if there is no manifest."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return None
    keys = [part["key"] for part in json.loads(manifest.read_text())["parts"]]
    files = [pq.read_table(folder / key) for key in keys]
    if not files:
        return Arrived({}, [])
    table = pa.concat_tables(files)
    types = {field.name: str(field.type) for field in table.schema}
    columns = [column.to_pylist() for column in table.columns]
    return Arrived(types, list(zip(*columns, strict=True)))
