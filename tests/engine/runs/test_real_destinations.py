"""The same faults with real destinations: their content equals the source exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import orjson
import polars as pl
import psycopg
import pytest

from apps.engine.contract import Failed, OutputFile, Succeeded, WriteMode
from apps.engine.failures import FailureClass
from apps.engine.sources.dummy import generated
from apps.engine.sync import state
from local.database.postgres import EmbeddedPostgres, temporary_postgres
from tests.engine.conftest import ROLE, ROLE_PASSWORD, Rehearsal
from tests.engine.runs.test_faults import KEEPS_COMMITS, kill, moments

Rehearse = Callable[..., Rehearsal]
ROWS, PAGE = 20_000, 250
SOURCE = {"rows": ROWS, "page_size": PAGE, "delay": 0.005}  # some checkpoints
COLUMNS = ["id", "name", "category", "amount", "active"]


def postgres_settings(server: EmbeddedPostgres) -> dict[str, Any]:
    parts = urlsplit(server.url())
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "postgres",
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "schema": "arrivals",
    }


class Arrivals:
    """A destination of one kind, and its visible rows."""

    def __init__(self, kind: str, run: Rehearsal, server: EmbeddedPostgres) -> None:
        self.kind, self.run, self.server = kind, run, server
        self.files: list[OutputFile] = []

    def remember(self) -> None:
        self.files = self.run.outputs or self.files

    def frame(self) -> pl.DataFrame:
        return getattr(self, f"_{self.kind}")().select(COLUMNS).sort("id")  # type: ignore[no-any-return]

    def _paths(self) -> Sequence[Path]:
        return [self.run.folder / file.key for file in self.files]

    def _parquet(self) -> pl.DataFrame:
        return pl.concat([pl.read_parquet(path) for path in self._paths()])

    def _jsonl(self) -> pl.DataFrame:
        lines = [line for path in self._paths() for line in path.read_bytes().splitlines()]
        return pl.DataFrame([orjson.loads(line) for line in lines])

    def _csv(self) -> pl.DataFrame:
        return pl.concat([pl.read_csv(path) for path in self._paths()])

    def _duckdb(self) -> pl.DataFrame:
        file = next(self.run.folder.rglob("*.duckdb"))
        with duckdb.connect(file, read_only=True) as connection:
            names = ", ".join(COLUMNS)
            rows = connection.execute(f"select {names} from numbers").fetchall()
        return pl.DataFrame(rows, schema=COLUMNS, orient="row")

    def _postgres(self) -> pl.DataFrame:
        with psycopg.connect(self.server.url()) as connection:
            names = ", ".join(COLUMNS)
            rows = connection.execute(
                f"select {names} from arrivals.{self.run.spec.destination.table}".encode()
            ).fetchall()
        return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def expected(rows: int = ROWS) -> pl.DataFrame:
    return generated.frame(1, rows).select(COLUMNS)


def prepared(
    rehearse: Rehearse, server: EmbeddedPostgres, kind: str, write_mode: WriteMode
) -> tuple[Rehearsal, Arrivals]:
    modes = {
        "write_mode": write_mode,
        "sync_mode": "full_refresh" if write_mode == "replace" else "incremental",
    }
    config = postgres_settings(server) if kind == "postgres" else {}
    run = rehearse(
        SOURCE,
        config,
        source_kind="dummy",
        stream="generated",
        destination_kind=kind,
        primary_key=("id",) if write_mode == "merge" else (),
        **modes,
    )
    if kind == "postgres":
        table = f"t{run.spec.pipeline_id.replace('-', '')[:12]}"
        run.spec = replace(
            run.spec,
            destination=replace(run.spec.destination, table=table),
            allow_private_networks=True,
        )
    return run, Arrivals(kind, run, server)


KINDS = [
    ("parquet", "replace"),
    ("parquet", "append"),
    ("jsonl", "replace"),
    ("csv", "append"),
    ("duckdb", "replace"),
    ("duckdb", "merge"),
    ("postgres", "replace"),
    ("postgres", "append"),
    ("postgres", "merge"),
]


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize(("kind", "write_mode"), KINDS)
def test_kill_9_at_random_moments_and_the_content_is_exact(
    rehearse: Rehearse,
    engine_postgres: EmbeddedPostgres,
    kind: str,
    write_mode: WriteMode,
    kills: int,
) -> None:
    run, arrivals = prepared(rehearse, engine_postgres, kind, write_mode)
    hits = 0
    for moment in islice(moments(f"{kind} {write_mode}", ROWS // PAGE), kills):
        outcome = run.attempt_killed(moment)
        if isinstance(outcome, Succeeded):
            break
        hits += run.was_hit
        assert outcome.failure_class is FailureClass.CRASHED, moment
    else:
        outcome = run.attempt()
    arrivals.remember()
    assert hits >= 1, "the fault fired"
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.written == ROWS
    assert arrivals.frame().equals(expected())
    _next_run_is_exact_too(run, arrivals, write_mode)


def _next_run_is_exact_too(run: Rehearsal, arrivals: Arrivals, write_mode: WriteMode) -> None:
    run.next_run()
    outcome = run.attempt(source={"rows": ROWS + 1000, "delay": 0})
    assert isinstance(outcome, Succeeded), outcome
    arrivals.remember()
    found = arrivals.frame() if arrivals.kind in {"duckdb", "postgres"} else None
    if found is not None or write_mode == "replace":
        assert arrivals.frame().equals(expected(ROWS + 1000))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_killed_postgresql_that_holds_the_state_and_the_table_loses_and_doubles_nothing(
    rehearse: Rehearse, seed: int
) -> None:
    with temporary_postgres(KEEPS_COMMITS) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role {ROLE} login password '{ROLE_PASSWORD}'")
        state.install(server.url(), role=ROLE)
        run, arrivals = prepared(rehearse, server, "postgres", "append")
        point_at(run, server)
        for moment in islice(moments(seed, ROWS // PAGE), 3):
            _attempt_while_the_server_dies(run, server, moment)
            server.start()
            point_at(run, server)
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
        assert arrivals.frame().equals(expected())


def point_at(run: Rehearsal, server: EmbeddedPostgres) -> None:
    """Another process may have taken the server's port while it was down."""
    run.spec = replace(run.spec, state_dsn=server.url(user=ROLE, password=ROLE_PASSWORD))
    run.change(destination={"port": server.port})


def _attempt_while_the_server_dies(run: Rehearsal, server: EmbeddedPostgres, moment: str) -> None:
    outcome = run.attempt_held(moment, lambda: kill(server))
    if isinstance(outcome, Failed):
        assert outcome.failure_class in {FailureClass.INTERNAL, FailureClass.DESTINATION}
        assert outcome.retryable


def test_starting_over_spares_what_another_pipeline_wrote_to_the_same_table(
    rehearse: Rehearse, engine_postgres: EmbeddedPostgres
) -> None:
    mine, found = prepared(rehearse, engine_postgres, "postgres", "append")
    theirs, _ = prepared(rehearse, engine_postgres, "postgres", "append")
    theirs.spec = replace(
        theirs.spec,
        destination=mine.spec.destination,
        data=replace(theirs.spec.data, prefix="org/x/pipeline/theirs"),
    )
    assert isinstance(mine.attempt(), Succeeded)
    assert isinstance(theirs.attempt(), Succeeded)
    assert found.frame().height == 2 * ROWS

    state.reset(mine.spec.state_dsn, mine.spec.stream_key)
    mine.next_run()
    refused = mine.attempt()
    assert isinstance(refused, Failed)
    assert refused.failure_class is FailureClass.CONFIGURATION
    assert "Another pipeline" in refused.message
    assert found.frame().height == 2 * ROWS

    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        admin.execute(f"drop table arrivals.{mine.spec.destination.table}".encode())
    assert isinstance(mine.attempt(), Succeeded)
    assert found.frame().height == ROWS
