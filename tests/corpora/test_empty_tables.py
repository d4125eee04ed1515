"""An empty PostgreSQL table arrives with its columns in every destination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest

from apps.engine.contract import Succeeded, WriteMode
from local.database.postgres import EmbeddedPostgres
from tests.engine.conftest import Rehearsal
from tests.engine.runs.test_real_destinations import postgres_settings
from tests.engine.sources.conftest import SourceDatabase


@pytest.fixture
def run(database: SourceDatabase, make_rehearsal: Callable[..., Rehearsal]) -> Rehearsal:
    database.execute(
        "CREATE TABLE IF NOT EXISTS nothing (id int PRIMARY KEY, amount numeric(10,2), at timestamptz)"
    )
    rehearsal = make_rehearsal(
        dict(database.config), source_kind="postgres", destination_kind="parquet", stream="nothing"
    )
    rehearsal.spec = replace(rehearsal.spec, allow_private_networks=True)
    return rehearsal


def published_file(run: Rehearsal, kind: str) -> Path:
    run.spec = replace(run.spec, destination=replace(run.spec.destination, kind=kind, config={}))
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    return run.folder / run.outputs[0].key


def test_an_empty_table_has_its_columns_in_parquet(run: Rehearsal) -> None:
    assert pl.read_parquet_schema(published_file(run, "parquet")) == {
        "id": pl.Int32(),
        "amount": pl.Decimal(10, 2),
        "at": pl.Datetime("us", "UTC"),
    }


def test_an_empty_table_has_its_columns_in_csv(run: Rehearsal) -> None:
    assert published_file(run, "csv").read_text() == "id,amount,at\n"


def test_an_empty_table_has_its_columns_in_duckdb(run: Rehearsal) -> None:
    with duckdb.connect(published_file(run, "duckdb"), read_only=True) as connection:
        (table,) = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND table_name = 'numbers'"
        ).fetchall()
        described = connection.execute(f"DESCRIBE {table[0]}").fetchall()
    assert {row[0]: row[1] for row in described} == {
        "id": "INTEGER",
        "amount": "DECIMAL(10,2)",
        "at": "TIMESTAMP WITH TIME ZONE",
    }


@pytest.mark.parametrize("write_mode", ["replace", "append", "merge"])
def test_an_empty_table_has_its_columns_in_postgresql(
    run: Rehearsal, engine_postgres: EmbeddedPostgres, write_mode: WriteMode
) -> None:
    settings = postgres_settings(engine_postgres)
    destination = replace(
        run.spec.destination,
        kind="postgres",
        config=settings,
        table=f"nothing_{write_mode}",
        write_mode=write_mode,
        primary_key=("id",) if write_mode == "merge" else (),
    )
    run.spec = replace(run.spec, destination=destination)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    with psycopg.connect(engine_postgres.url()) as connection:
        columns: list[tuple[str, str]] = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (f"{settings['schema']}.nothing_{write_mode}",),
        ).fetchall()
    assert dict(columns) == {
        "id": "integer",
        "amount": "numeric(10,2)",
        "at": "timestamp with time zone",
    }
