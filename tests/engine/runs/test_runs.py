"""Runs through the supervisor: their rows, their state, and how a run continues another one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from bizon.engine.backend.adapters.sqlalchemy.backend import SQLAlchemyBackend
from bizon.engine.backend.adapters.sqlalchemy.config import PostgresConfigDetails
from bizon.engine.backend.config import BackendTypes
from psycopg import sql
from sqlalchemy import Engine, NullPool, create_engine

from apps.engine.contract import CodeSpec, Failed, PublishRules, Started, Succeeded
from apps.engine.failures import FailureClass
from apps.engine.sources import SOURCES, load
from apps.engine.sync import state
from apps.engine.sync.identity import identity_of
from apps.engine.sync.state import engine_conninfo
from local.database.postgres import EmbeddedPostgres
from tests.engine.conftest import ROLE, Rehearsal
from tests.engine.ledger import published_ids

MakeRehearsal = Callable[..., Rehearsal]

TEST_KINDS = ("faulty", "unchanging")


def test_every_row_arrives_and_is_counted(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 1234})
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.rejected) == (1234, 1234, 0)
    assert published_ids(run.folder) == list(range(1, 1235))
    assert [output.rows for output in run.outputs] == [1234]


def test_the_first_event_of_a_run_contains_the_childs_pid(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal()
    run.attempt()
    assert isinstance(run.events[0], Started)
    assert run.pid != os.getpid()


@pytest.mark.parametrize("total", ["none", "zero", "text", "true"])
def test_the_total_of_the_source_is_used_only_if_it_is_valid(
    make_rehearsal: MakeRehearsal, total: str
) -> None:
    run = make_rehearsal({"rows": 10, "total": total})
    assert isinstance(run.attempt(), Succeeded)
    assert run.progress[-1].total == (10 if total == "true" else None)


def test_progress_counts_only_staged_rows_and_never_decreases(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 3000, "page_size": 100, "delay": 0.06})
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert len(run.progress) >= 3
    assert all(
        progress.read == progress.written + progress.rejected + progress.skipped
        for progress in run.progress
    )
    assert all(earlier.written <= later.written for earlier, later in pairwise(run.progress))
    assert run.progress[-1].written == 3000


def test_rejected_records_are_counted_and_valid_records_arrive(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 300, "answer": "rejected", "after": 100})
    run.spec = replace(run.spec, rules=PublishRules(max_rejected_share=0.02))
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.rejected) == (300, 296, 4)
    assert len(published_ids(run.folder)) == 296
    assert any("Rejected a record" in line.message for line in run.log)


def test_source_records_of_bizon_arrive_as_rows(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 250, "answer": "records"})
    assert isinstance(run.attempt(), Succeeded)
    assert published_ids(run.folder) == list(range(1, 251))


def test_a_stream_without_rows_publishes_nothing_and_succeeds(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 0})
    assert run.attempt() == Succeeded(0, 0, 0, 0)
    assert published_ids(run.folder) == []


def test_frames_of_a_built_in_source_arrive(make_rehearsal: MakeRehearsal) -> None:
    config = {"rows": 5000, "page_size": 700, "format": "frames"}
    run = make_rehearsal(config, source_kind="dummy", stream="generated")
    assert isinstance(run.attempt(), Succeeded)
    assert published_ids(run.folder) == list(range(1, 5001))


def test_the_log_begins_with_what_the_dashboard_calls_the_two_sides_and_the_modes(
    make_rehearsal: MakeRehearsal,
) -> None:
    kinds = {"source_kind": "dummy", "destination_kind": "duckdb"}
    run = make_rehearsal({"rows": 1}, {}, stream="generated", **kinds)
    run.attempt()
    assert run.log[0].message == (
        "Reading generated from Dummy (Full refresh), writing to numbers in DuckDB (Overwrite table)"
    )


def test_a_full_refresh_replaces_earlier_rows(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 50})
    run.attempt()
    run.start_new_run()
    run.attempt(source={"rows": 30})
    assert published_ids(run.folder) == list(range(1, 31))


def test_an_incremental_run_continues_from_the_state_of_the_previous_run(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    run.start_new_run()
    outcome = run.attempt(source={"rows": 80})
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 30
    assert published_ids(run.folder) == list(range(1, 81))


def test_an_incremental_run_without_new_rows_keeps_the_state(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    for _ in range(3):
        assert isinstance(run.attempt(), Succeeded)
        run.start_new_run()
    run.attempt(source={"rows": 60})
    assert published_ids(run.folder) == list(range(1, 61))


def test_a_reset_reads_all_rows_again_and_replaces_the_table(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    assert state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.start_new_run()
    outcome = run.attempt(source={"rows": 60})
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 60
    assert published_ids(run.folder) == list(range(1, 61))


@pytest.mark.parametrize("is_older_release", [False, True])
def test_a_reset_replaces_the_table_also_if_other_settings_of_the_destination_have_changed(
    make_rehearsal: MakeRehearsal, is_older_release: bool
) -> None:
    """Such as a timeout, which does not make it another table."""
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    if is_older_release:
        forget_places(run)
    assert state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.start_new_run()
    destination = {} if is_older_release else {"delay": 0.001}
    assert isinstance(run.attempt(destination=destination), Succeeded)
    assert published_ids(run.folder) == list(range(1, 51))


def forget_places(run: Rehearsal) -> None:
    """Record of the finished job what an older release has recorded: a digest of all settings of the destination."""
    identity = identity_of(run.spec)
    with psycopg.connect(engine_conninfo(run.spec.state_dsn)) as connection:
        connection.execute(
            "update engine_job set destination = %s, inputs = inputs - 'place'",
            [identity.destination_settings],
        )


def test_an_incremental_stream_goes_on_after_other_settings_of_the_destination_have_changed(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    run.start_new_run()
    outcome = run.attempt(source={"rows": 60}, destination={"delay": 0.001})
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 10
    assert published_ids(run.folder) == list(range(1, 61))


def test_an_incremental_stream_with_another_table_asks_for_a_reset(
    make_rehearsal: MakeRehearsal,
) -> None:
    """The other table would have the new records only."""
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    run.start_new_run()
    run.spec = replace(run.spec, destination=replace(run.spec.destination, table="others"))
    outcome = run.attempt(source={"rows": 60})
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert "The table of the destination changed: reset the stream" in outcome.message
    assert state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.start_new_run()
    reset = run.attempt()
    assert isinstance(reset, Succeeded)
    assert reset.read == 60


def test_a_reset_still_applies_after_the_next_run_fails(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 500}, sync_mode="incremental", write_mode="append")
    run.attempt()
    state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.start_new_run()
    failed = run.attempt(source={"answer": "zero_division", "after": 300})
    assert isinstance(failed, Failed)
    assert published_ids(run.folder) == list(range(1, 501)), (
        "the old rows stay until the new ones are published"
    )
    run.attempt(source={"answer": "rows"})
    assert published_ids(run.folder) == list(range(1, 501))


def test_resetting_a_stream_that_never_ran_returns_false(state_dsn: str) -> None:
    assert not state.reset(state_dsn, "org:nothing")


def test_the_state_of_a_stream_can_be_read_and_deleted(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 120}, sync_mode="incremental", write_mode="append")
    assert state.read_state(run.spec.state_dsn, run.spec.stream_key) is None
    run.attempt()
    stream_state = state.read_state(run.spec.state_dsn, run.spec.stream_key)
    assert stream_state is not None
    assert (stream_state.status, stream_state.written, stream_state.source) == (
        "succeeded",
        120,
        "faulty",
    )
    assert stream_state.incremental_state == '{"after": 120}'
    state.delete_states(run.spec.state_dsn, run.spec.pipeline_prefix)
    assert state.read_state(run.spec.state_dsn, run.spec.stream_key) is None


def test_a_failed_run_is_continued_by_its_next_attempt(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal(
        {"rows": 1000, "answer": "zero_division", "after": 600, "while_exists": "failure_flag"}
    )
    assert isinstance(run.attempt(), Failed)
    assert published_ids(run.folder) == []
    run.failure_flag.unlink()
    outcome = run.attempt()
    assert any("Continuing at page 6 with 600 records" in line.message for line in run.log)
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 1000, "the count includes earlier attempts"
    assert published_ids(run.folder) == list(range(1, 1001))


@pytest.mark.parametrize("modes", [{}, {"sync_mode": "incremental", "write_mode": "append"}])
def test_a_new_run_does_not_continue_the_failed_run_before_it(
    make_rehearsal: MakeRehearsal, modes: dict[str, Any]
) -> None:
    run = make_rehearsal(
        {"rows": 1000, "answer": "zero_division", "after": 600, "while_exists": "failure_flag"},
        **modes,
    )
    run.attempt()
    run.failure_flag.unlink()
    run.start_new_run()
    assert isinstance(run.attempt(), Succeeded)
    assert any("it belongs to an earlier run" in line.message for line in run.log)
    assert published_ids(run.folder) == list(range(1, 1001))
    assert len(list((run.folder / "staging").iterdir())) == 1, "only the staging of the new job"


@pytest.mark.parametrize(
    ("sync_mode", "continues"), [("incremental", True), ("full_refresh", False)]
)
def test_a_new_run_continues_an_incremental_sync_of_a_source_whose_pages_never_change(
    make_rehearsal: MakeRehearsal, sync_mode: str, continues: bool
) -> None:
    run = make_rehearsal(
        {"rows": 1000, "answer": "zero_division", "after": 600, "while_exists": "failure_flag"},
        source_kind="unchanging",
        sync_mode=sync_mode,
        write_mode="append",
    )
    run.attempt()
    run.failure_flag.unlink()
    run.start_new_run()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Continuing at page 6" in line.message for line in run.log) is continues
    assert published_ids(run.folder) == list(range(1, 1001))


def test_only_kafka_and_sample_data_have_pages_that_never_change() -> None:
    sources = {kind: load(kind).Source for kind in SOURCES if kind not in TEST_KINDS}
    unchanging = {kind for kind, source in sources.items() if source.pages_never_change}
    assert unchanging == {"kafka", "samples"}


def test_a_retry_of_a_failed_run_that_another_run_followed_starts_anew(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 1000, "answer": "zero_division", "after": 600})
    run.attempt()
    failed_spec = run.spec
    run.start_new_run()
    run.attempt(source={"after": 300})
    run.spec = failed_spec
    assert isinstance(run.attempt(source={"answer": "rows"}), Succeeded)
    assert any("Starting a new sync" in line.message for line in run.log)
    assert published_ids(run.folder) == list(range(1, 1001))


def test_a_changed_transform_starts_the_run_anew(make_rehearsal: MakeRehearsal) -> None:
    """No record of the first transform is published with those of the second."""
    run = make_rehearsal(
        {"rows": 300, "answer": "zero_division", "after": 200, "while_exists": "failure_flag"}
    )
    run.spec = replace(run.spec, transform=transform("return {'id': record['id']}"))
    run.attempt()
    run.failure_flag.unlink()
    run.spec = replace(run.spec, transform=transform("return {'id': -record['id']}"))
    assert isinstance(run.attempt(), Succeeded)
    assert any("the code has changed" in line.message for line in run.log)
    assert published_ids(run.folder) == list(range(-300, 0))


def transform(body: str) -> CodeSpec:
    return CodeSpec(f"def transform(record):\n    {body}\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"cursor_field": "name"},
            "The cursor field changed from 'id' to 'name': reset the stream",
        ),
        ({"primary_key": ("name",)}, "The primary key changed (id before, name now): reset"),
    ],
)
def test_an_incremental_stream_with_another_key_or_cursor_asks_for_a_reset(
    make_rehearsal: MakeRehearsal, change: dict[str, Any], message: str
) -> None:
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    source = replace(run.spec.source, cursor_field="id", primary_key=("id",))
    run.spec = replace(run.spec, source=source)
    run.attempt()
    run.start_new_run()
    run.spec = replace(run.spec, source=replace(source, **change))
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert message in outcome.message
    assert published_ids(run.folder) == list(range(1, 51))
    assert state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.start_new_run()
    assert isinstance(run.attempt(source={"rows": 60}), Succeeded)
    assert published_ids(run.folder) == list(range(1, 61))


def test_a_full_refresh_that_becomes_incremental_with_a_cursor_field_starts_at_the_beginning(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 50})
    run.attempt()
    run.start_new_run()
    source = replace(run.spec.source, sync_mode="incremental", cursor_field="id")
    destination = replace(run.spec.destination, write_mode="append")
    run.spec = replace(run.spec, source=source, destination=destination)
    assert isinstance(run.attempt(source={"rows": 60}), Succeeded)
    assert published_ids(run.folder) == list(range(1, 61))


def test_the_position_of_an_incremental_stream_survives_another_transform(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    run.start_new_run()
    run.spec = replace(run.spec, transform=transform("return record"))
    outcome = run.attempt(source={"rows": 80})
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 30


def test_changed_settings_start_a_new_sync(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 1000, "answer": "zero_division", "after": 600})
    assert isinstance(run.attempt(), Failed)
    assert isinstance(run.attempt(source={"answer": "rows", "page_size": 77}), Succeeded)
    assert any("Starting a new sync" in line.message for line in run.log)
    assert published_ids(run.folder) == list(range(1, 1001))


def test_a_new_job_after_changed_settings_removes_the_staging_of_the_old_job(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 500}, {"fault": "publish_fails"})
    assert isinstance(run.attempt(), Failed)
    assert any((run.folder / "staging").iterdir())
    run.change_settings(source={"page_size": 50})
    run.attempt()
    assert len(list((run.folder / "staging").iterdir())) == 1, "only the staging of the new job"


def test_a_changed_password_does_not_start_a_new_job(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 500, "password": "wrong"}, {"fault": "publish_fails"})
    run.attempt()
    run.attempt(source={"password": "right"})
    assert any("publishing the staged data" in line.message for line in run.log)


def test_the_engine_role_can_access_only_its_schema(
    state_dsn: str, engine_postgres: object
) -> None:
    with psycopg.connect(state_dsn) as connection:
        visible = connection.execute(
            "select distinct table_schema from information_schema.table_privileges"
            " where grantee = current_user"
        ).fetchall()
        assert visible == [("engine",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create table engine.mine ()")


def test_the_state_schema_can_be_installed_twice(engine_postgres: object, state_dsn: str) -> None:
    assert isinstance(engine_postgres, EmbeddedPostgres)
    state.install(engine_postgres.url(), role=ROLE)
    state.install(engine_postgres.url(), role=ROLE)


def test_our_tables_have_every_column_that_bizon_maps(state_dsn: str) -> None:
    from bizon.engine.backend.models import Base

    with psycopg.connect(state_dsn) as connection:
        for name, table in Base.metadata.tables.items():
            rows = connection.execute(
                "select column_name from information_schema.columns"
                " where table_schema = 'engine' and table_name = %s",
                (name,),
            ).fetchall()
            assert {row[0] for row in rows} == {column.name for column in table.columns}


def test_an_unknown_kind_is_a_configuration_failure(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal(source_kind="telepathy")
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION


def test_the_next_run_continues_from_a_position_that_was_set_by_hand(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 50}, sync_mode="incremental", write_mode="append")
    assert not state.continue_from(run.spec.state_dsn, run.spec.stream_key, '{"after": 40}')
    run.attempt()
    before = state.read_state(run.spec.state_dsn, run.spec.stream_key)
    assert state.continue_from(run.spec.state_dsn, run.spec.stream_key, '{"after": 40}')
    after = state.read_state(run.spec.state_dsn, run.spec.stream_key)
    assert before is not None
    assert after is not None
    assert before.updated_at == after.updated_at  # the time of the sync
    run.start_new_run()
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 10
    assert published_ids(run.folder) == sorted([*range(1, 51), *range(41, 51)])


def test_pruning_deletes_old_jobs_and_keeps_the_newest(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 5}, sync_mode="incremental", write_mode="append")
    for _ in range(3):
        run.attempt()
        run.start_new_run()
    condition = "where name = %s"
    with psycopg.connect(run.spec.state_dsn) as connection:
        connection.execute(
            f"update engine.stream_jobs set created_at = created_at - interval '90 days' {condition}",
            (run.spec.stream_key,),
        )
    state.prune(run.spec.state_dsn, keep_jobs=2)
    with psycopg.connect(run.spec.state_dsn) as connection:
        remaining = connection.execute(
            f"select count(*) from engine.stream_jobs {condition}", (run.spec.stream_key,)
        ).fetchone()
    assert remaining == (2,)
    run.attempt(source={"rows": 8})
    assert published_ids(run.folder) == list(range(1, 9)), "the state of the newest job was kept"


def test_bizons_own_backend_can_read_the_engines_state(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal(
        {"rows": 300, "answer": "zero_division", "after": 200, "while_exists": "x"}
    )
    run.attempt()
    stream_names = (run.spec.stream_key, "faulty", "numbers")
    backend: Any = BizonsBackend(run.spec.state_dsn)
    job = backend.get_running_stream_job(*stream_names)
    last_cursor = backend.get_last_cursor_by_job_id(job.id)
    assert (last_cursor.to_source_iteration, last_cursor.pagination) == (1, '{"after": 200}')
    assert backend.get_number_of_written_rows_for_job(job.id) == 200
    backend.session.remove()
    run.failure_flag.unlink()
    run.attempt()
    finished = backend.get_last_successful_stream_job(*stream_names)
    assert (finished.id, finished.incremental_state) == (job.id, '{"after": 300}')
    assert backend.get_running_stream_job(*stream_names) is None
    backend.session.remove()


class BizonsBackend(SQLAlchemyBackend):
    """Connect as bizon's backend does, with a connection string that allows any password."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        details = PostgresConfigDetails(
            database="", schema="engine", host="", port=0, username="", password=""
        )
        super().__init__(details, BackendTypes.POSTGRES)

    def _get_engine_postgres(self) -> Engine:
        def connect() -> psycopg.Connection:
            return psycopg.connect(state.engine_conninfo(self._dsn))

        return create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)


def test_the_state_of_an_older_release_gets_the_key_of_its_stream(
    make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres
) -> None:
    """Older releases had one stream for each pipeline, so the key was that of the pipeline."""
    run = make_rehearsal({"rows": 120}, sync_mode="incremental", write_mode="append")
    assert isinstance(run.attempt(), Succeeded)
    key, old_key = run.spec.stream_key, run.spec.pipeline_prefix.removesuffix(":")
    with psycopg.connect(state.engine_conninfo(engine_postgres.url())) as connection:
        for table in ("stream_jobs", "destination_cursors"):
            statement = sql.SQL("update {} set name = %s where name = %s")
            connection.execute(statement.format(sql.Identifier(table)), (old_key, key))
        owner = "update engine_stream set stream_key = %s where stream_key = %s"
        connection.execute(owner, (old_key, key))
    assert state.read_state(run.spec.state_dsn, key) is None

    state.install(engine_postgres.url(), role=ROLE)
    stream_state = state.read_state(run.spec.state_dsn, key)
    assert stream_state is not None
    run.start_new_run()
    assert run.attempt() == Succeeded(
        0, 0, 0, 0, cursor_before={"after": 120}, cursor_after={"after": 120}
    )
    assert state.read_state(run.spec.state_dsn, old_key) is None
