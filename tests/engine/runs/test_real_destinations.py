"""Kill runs that write to real destinations. The destination then has exactly the rows of the source."""

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
from tests.engine.runs.test_faults import DURABLE_SETTINGS, kill_server, random_moments

MakeRehearsal = Callable[..., Rehearsal]
ROWS, PAGE_SIZE = 20_000, 250
# A run of this source is slow enough for several checkpoints.
SOURCE = {"rows": ROWS, "page_size": PAGE_SIZE, "delay": 0.005}
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


class DestinationReader:
    """Read the visible rows of a destination of one kind."""

    def __init__(self, kind: str, run: Rehearsal, server: EmbeddedPostgres) -> None:
        self.kind, self.run, self.server = kind, run, server
        self.files: list[OutputFile] = []

    def remember_outputs(self) -> None:
        self.files = self.run.outputs or self.files

    def read_frame(self) -> pl.DataFrame:
        return getattr(self, f"_read_{self.kind}")().select(COLUMNS).sort("id")  # type: ignore[no-any-return]

    def _output_paths(self) -> Sequence[Path]:
        return [self.run.folder / file.key for file in self.files]

    def _read_parquet(self) -> pl.DataFrame:
        return pl.concat([pl.read_parquet(path) for path in self._output_paths()])

    def _read_jsonl(self) -> pl.DataFrame:
        lines = [line for path in self._output_paths() for line in path.read_bytes().splitlines()]
        return pl.DataFrame([orjson.loads(line) for line in lines])

    def _read_csv(self) -> pl.DataFrame:
        return pl.concat([pl.read_csv(path) for path in self._output_paths()])

    def _read_duckdb(self) -> pl.DataFrame:
        file = next(self.run.folder.rglob("*.duckdb"))
        with duckdb.connect(file, read_only=True) as connection:
            names = ", ".join(COLUMNS)
            rows = connection.execute(f"select {names} from numbers").fetchall()
        return pl.DataFrame(rows, schema=COLUMNS, orient="row")

    def _read_postgres(self) -> pl.DataFrame:
        with psycopg.connect(self.server.url()) as connection:
            names = ", ".join(COLUMNS)
            rows = connection.execute(
                f"select {names} from arrivals.{self.run.spec.destination.table}".encode()
            ).fetchall()
        return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def expected_frame(rows: int = ROWS) -> pl.DataFrame:
    return generated.generate_frame(1, rows).select(COLUMNS)


def prepare_run(
    make_rehearsal: MakeRehearsal, server: EmbeddedPostgres, kind: str, write_mode: WriteMode
) -> tuple[Rehearsal, DestinationReader]:
    modes = {
        "write_mode": write_mode,
        "sync_mode": "full_refresh" if write_mode == "replace" else "incremental",
    }
    config = postgres_settings(server) if kind == "postgres" else {}
    run = make_rehearsal(
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
    return run, DestinationReader(kind, run, server)


KINDS_AND_MODES = [
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


@pytest.mark.sample(4)
@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize(("kind", "write_mode"), KINDS_AND_MODES)
def test_killing_a_run_at_random_moments_loses_and_duplicates_no_row(
    make_rehearsal: MakeRehearsal,
    engine_postgres: EmbeddedPostgres,
    kind: str,
    write_mode: WriteMode,
    kills: int,
) -> None:
    run, reader = prepare_run(make_rehearsal, engine_postgres, kind, write_mode)
    kill_count = 0
    for moment in islice(random_moments(f"{kind} {write_mode}", ROWS // PAGE_SIZE), kills):
        outcome = run.attempt_with_kill(moment)
        if isinstance(outcome, Succeeded):
            break
        kill_count += run.child_was_killed
        assert outcome.failure_class is FailureClass.CRASHED, moment
    else:
        outcome = run.attempt()
    reader.remember_outputs()
    assert kill_count >= 1, "no attempt was killed"
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.written == ROWS
    assert reader.read_frame().equals(expected_frame())
    _assert_next_run_reads_each_row_once(run, reader, write_mode)


def _assert_next_run_reads_each_row_once(
    run: Rehearsal, reader: DestinationReader, write_mode: WriteMode
) -> None:
    run.start_new_run()
    outcome = run.attempt(source={"rows": ROWS + 1000, "delay": 0})
    assert isinstance(outcome, Succeeded), outcome
    reader.remember_outputs()
    if reader.kind in {"duckdb", "postgres"} or write_mode == "replace":
        assert reader.read_frame().equals(expected_frame(ROWS + 1000))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_killing_postgresql_with_the_state_and_the_table_loses_and_duplicates_no_row(
    make_rehearsal: MakeRehearsal, seed: int
) -> None:
    with temporary_postgres(DURABLE_SETTINGS) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role {ROLE} login password '{ROLE_PASSWORD}'")
        state.install(server.url(), role=ROLE)
        run, reader = prepare_run(make_rehearsal, server, "postgres", "append")
        use_current_port(run, server)
        for moment in islice(random_moments(seed, ROWS // PAGE_SIZE), 3):
            _attempt_with_killed_server(run, server, moment)
            server.start()
            use_current_port(run, server)
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
        assert reader.read_frame().equals(expected_frame())


def use_current_port(run: Rehearsal, server: EmbeddedPostgres) -> None:
    """Use the server's new port. Another process may have taken the old port while the server was down."""
    run.spec = replace(run.spec, state_dsn=server.url(user=ROLE, password=ROLE_PASSWORD))
    run.change_settings(destination={"port": server.port})


def _attempt_with_killed_server(run: Rehearsal, server: EmbeddedPostgres, moment: str) -> None:
    outcome = run.attempt_with_hold(moment, lambda: kill_server(server))
    if isinstance(outcome, Failed):
        assert outcome.failure_class in {FailureClass.INTERNAL, FailureClass.DESTINATION}
        assert outcome.retryable


def test_starting_over_fails_if_another_pipeline_wrote_to_the_same_table(
    make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres
) -> None:
    own_run, reader = prepare_run(make_rehearsal, engine_postgres, "postgres", "append")
    other_run, _ = prepare_run(make_rehearsal, engine_postgres, "postgres", "append")
    other_run.spec = replace(
        other_run.spec,
        destination=own_run.spec.destination,
        data=replace(other_run.spec.data, prefix="org/x/pipeline/other"),
    )
    assert isinstance(own_run.attempt(), Succeeded)
    assert isinstance(other_run.attempt(), Succeeded)
    assert reader.read_frame().height == 2 * ROWS

    state.reset(own_run.spec.state_dsn, own_run.spec.stream_key)
    own_run.start_new_run()
    outcome = own_run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert "Another pipeline" in outcome.message
    assert reader.read_frame().height == 2 * ROWS

    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        admin.execute(f"drop table arrivals.{own_run.spec.destination.table}".encode())
    assert isinstance(own_run.attempt(), Succeeded)
    assert reader.read_frame().height == ROWS
