"""Copy 100 small tables from PostgreSQL to PostgreSQL in one run: what a stream costs beside the copying of its rows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
from psycopg import sql

from bench.data.lineitem import Databases, create_empty_databases
from bench.data.rivals import run_pg_dump, run_rival
from bench.figures import Figure, figure_of_ratio, figure_with_upper_bound
from bench.scratch import ROOT, Installation
from bench.start import Client, running_drover

TABLES = 100
ROWS = 1_000  # per table
# The rivals of `bench.data.rivals`, how they are used, and how many times as fast a run has to be. The tuned one writes
# files of CSV, which dlt does not do by itself. See ADR 86 for its target.
DLT = {
    "dlt-tables-default": ("dlt, sql_database as its documentation shows it", 3.0),
    "dlt-tables-tuned": ("dlt, sql_database with connectorx and csv", 2.0),
}
NAMES = [f"orders_{number}" for number in range(1, TABLES + 1)]
CREATE_TABLE = """
CREATE TABLE {name} (id bigint PRIMARY KEY, customer integer NOT NULL, total numeric(12,2), paid boolean, note text,
                     changed_at timestamptz NOT NULL);
INSERT INTO {name} SELECT n, n % 97, n * 1.25, n % 3 = 0, 'note ' || n,
                          timestamptz '2026-01-01' + n * interval '1 minute' FROM generate_series(1, {rows}) n"""
COUNT_ROWS = "SELECT count(*) FROM {}"


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    databases = create_empty_databases(installation.database_url, TABLES * ROWS)
    with psycopg.connect(databases.source, autocommit=True) as connection:
        for name in NAMES:
            create = sql.SQL(CREATE_TABLE).format(name=sql.Identifier(name), rows=ROWS)
            connection.execute(create)
        connection.execute("VACUUM ANALYZE")
    created = _create_pipeline(installation, databases)
    with running_drover(installation.environment) as address:
        client = Client(address, created["token"], created["pipeline"])
        _run_ours(client, databases)  # the first run is a warm-up
        seconds = [
            (
                _run_ours(client, databases),
                _run_pg_dump(databases),
                *(_run_dlt(rival, databases) for rival in DLT),
            )
            for _ in range(rounds)
        ]
    ours, copying, *rivals = (list(values) for values in zip(*seconds, strict=True))
    yield figure_with_upper_bound(
        f"{TABLES} tables in one run, each over the copying",
        "`pg_dump --data-only | psql`",
        [(mine - theirs) * 1000 / TABLES for mine, theirs in zip(ours, copying, strict=True)],
        at_most=60,
        unit="ms",
    )
    for (name, at_least), theirs in zip(DLT.values(), rivals, strict=True):
        yield figure_of_ratio(
            f"{TABLES} tables in one run",
            name,
            [TABLES / value for value in ours],
            [TABLES / value for value in theirs],
            at_least=at_least,
            unit="tables/s",
        )


def _run_ours(client: Client, databases: Databases) -> float:
    """Return the seconds from the request to the end of the run."""
    databases.empty_target()
    run = client.run_to_end(wait=300)
    _check_rows(databases, "public")
    return (run.finished_at - run.created_at).total_seconds()


def _run_pg_dump(databases: Databases) -> float:
    databases.empty_target()
    seconds = run_pg_dump(databases.source, databases.target)
    _check_rows(databases, "public")
    return seconds


def _run_dlt(rival: str, databases: Databases) -> float:
    databases.empty_target()
    with psycopg.connect(databases.target, autocommit=True) as connection:
        # What dlt has stored about its last run would decide the types of the columns.
        connection.execute("DROP SCHEMA IF EXISTS bench_dlt CASCADE")
    seconds = run_rival(rival, databases.source, databases.target)
    _check_rows(databases, "bench_dlt")
    return seconds


def _check_rows(databases: Databases, schema: str) -> None:
    """Raise RuntimeError if not all rows of all tables have arrived."""
    with psycopg.connect(databases.target) as connection:
        counts = [
            connection.execute(sql.SQL(COUNT_ROWS).format(sql.Identifier(schema, name))).fetchall()
            for name in NAMES
        ]
    total = sum(count for [(count,)] in counts)
    if total != databases.rows:
        raise RuntimeError(f"{total} of {databases.rows} rows arrived")


def _create_pipeline(installation: Installation, databases: Databases) -> dict[str, Any]:
    config = {
        "source": {"kind": "postgres", "config": databases.settings(databases.source)},
        "patterns": {"match": ["public.*"]},
        "naming": "public.{table}",
        "destination": {
            "kind": "postgres",
            "config": {**databases.settings(databases.target), "schema": "public"},
        },
    }
    process = subprocess.run(
        [sys.executable, "-m", "bench.create_runs", "1", "--config"],
        input=orjson.dumps(config),
        env=dict(installation.environment),
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    output: dict[str, Any] = orjson.loads(process.stdout)
    return {"token": output["token"], "pipeline": output["pipelines"][0]}
