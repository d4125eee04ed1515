"""Runs through the supervisor, without faults."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from bizon.engine.backend.adapters.sqlalchemy.backend import SQLAlchemyBackend
from bizon.engine.backend.adapters.sqlalchemy.config import PostgresConfigDetails
from bizon.engine.backend.config import BackendTypes
from sqlalchemy import Engine, NullPool, create_engine

from apps.engine.contract import Failed, Started, Succeeded
from apps.engine.failures import FailureClass
from apps.engine.sync import state
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import rows_of

Rehearse = Callable[..., Rehearsal]


def test_every_row_arrives_and_is_accounted_for(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 1234})
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.rejected) == (1234, 1234, 0)
    assert rows_of(run.folder) == list(range(1, 1235))
    assert [output.rows for output in run.outputs] == [1234]


def test_the_childs_first_event_is_that_it_has_started(rehearse: Rehearse) -> None:
    run = rehearse()
    run.attempt()
    assert isinstance(run.events[0], Started)
    assert run.pid != os.getpid()


@pytest.mark.parametrize("total", ["none", "zero", "text", "true"])
def test_any_total_a_source_may_give_does_no_harm(rehearse: Rehearse, total: str) -> None:
    run = rehearse({"rows": 10, "total": total})
    assert isinstance(run.attempt(), Succeeded)
    assert run.progress[-1].total == (10 if total == "true" else None)


def test_progress_never_claims_more_than_is_staged_and_only_grows(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 3000, "page_size": 100, "delay": 0.06})
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert len(run.progress) >= 3
    assert all(p.read == p.written + p.rejected for p in run.progress)
    assert all(a.written <= b.written for a, b in pairwise(run.progress))
    assert run.progress[-1].written == 3000


def test_rejected_records_are_counted_and_the_rest_arrives(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 300, "answer": "rejected", "after": 100})
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.rejected) == (300, 296, 4)
    assert len(rows_of(run.folder)) == 296
    assert any("Rejected a record" in line.message for line in run.log)


def test_source_records_of_bizon_arrive_like_rows(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 250, "answer": "records"})
    assert isinstance(run.attempt(), Succeeded)
    assert rows_of(run.folder) == list(range(1, 251))


def test_a_stream_without_rows_publishes_nothing_and_succeeds(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 0})
    assert run.attempt() == Succeeded(0, 0, 0, 0)
    assert rows_of(run.folder) == []


def test_frames_of_a_built_in_source_arrive(rehearse: Rehearse) -> None:
    config = {"rows": 5000, "page_size": 700, "format": "frames"}
    run = rehearse(config, source_kind="dummy", stream="generated")
    assert isinstance(run.attempt(), Succeeded)
    assert rows_of(run.folder) == list(range(1, 5001))


def test_a_full_refresh_replaces_what_was_there(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 50})
    run.attempt()
    run.next_run()
    run.attempt(source={"rows": 30})
    assert rows_of(run.folder) == list(range(1, 31))


def test_an_incremental_run_continues_from_the_state_of_the_last(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    run.next_run()
    outcome = run.attempt(source={"rows": 80})
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 30
    assert rows_of(run.folder) == list(range(1, 81))


def test_an_incremental_run_without_news_keeps_the_state(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 50}, sync_mode="incremental", write_mode="append")
    for _ in range(3):
        assert isinstance(run.attempt(), Succeeded)
        run.next_run()
    run.attempt(source={"rows": 60})
    assert rows_of(run.folder) == list(range(1, 61))


def test_a_reset_reads_everything_again_and_replaces(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 50}, sync_mode="incremental", write_mode="append")
    run.attempt()
    assert state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.next_run()
    outcome = run.attempt(source={"rows": 60})
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 60
    assert rows_of(run.folder) == list(range(1, 61))


def test_a_reset_survives_the_failure_of_the_run_that_honours_it(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 500}, sync_mode="incremental", write_mode="append")
    run.attempt()
    state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.next_run()
    failed = run.attempt(source={"answer": "zero_division", "after": 300})
    assert isinstance(failed, Failed)
    assert rows_of(run.folder) == list(range(1, 501)), "the old rows stay until the new are there"
    run.attempt(source={"answer": "rows"})
    assert rows_of(run.folder) == list(range(1, 501))


def test_resetting_a_stream_that_never_ran_returns_false(state_dsn: str) -> None:
    assert not state.reset(state_dsn, "org:nothing")


def test_the_state_of_a_stream_can_be_read_and_forgotten(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 120}, sync_mode="incremental", write_mode="append")
    assert state.read_state(run.spec.state_dsn, run.spec.stream_key) is None
    run.attempt()
    seen = state.read_state(run.spec.state_dsn, run.spec.stream_key)
    assert seen is not None
    assert (seen.status, seen.written, seen.source) == ("succeeded", 120, "unruly")
    assert seen.incremental_state == '{"after": 120}'
    state.delete_stream_state(run.spec.state_dsn, run.spec.stream_key)
    assert state.read_state(run.spec.state_dsn, run.spec.stream_key) is None


def test_a_failed_run_is_continued_by_the_next_one(rehearse: Rehearse) -> None:
    run = rehearse(
        {"rows": 1000, "answer": "zero_division", "after": 600, "while_exists": "trouble"}
    )
    assert isinstance(run.attempt(), Failed)
    assert rows_of(run.folder) == []
    run.trouble.unlink()
    run.next_run()
    outcome = run.attempt()
    assert any("Continuing at page 6 with 600 rows" in line.message for line in run.log)
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 1000, "earlier attempts included"
    assert rows_of(run.folder) == list(range(1, 1001))


def test_changed_settings_start_a_new_sync(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 1000, "answer": "zero_division", "after": 600})
    assert isinstance(run.attempt(), Failed)
    assert isinstance(run.attempt(source={"answer": "rows", "page_size": 77}), Succeeded)
    assert any("Starting a new sync" in line.message for line in run.log)
    assert rows_of(run.folder) == list(range(1, 1001))


def test_a_changed_destination_starts_a_new_job_and_removes_the_old_staging(
    rehearse: Rehearse,
) -> None:
    run = rehearse({"rows": 500}, {"fault": "publish_fails"})
    assert isinstance(run.attempt(), Failed)
    assert any((run.folder / "staging").iterdir())
    run.change(source={"page_size": 50})
    run.attempt()
    assert len(list((run.folder / "staging").iterdir())) == 1, "only the staging of the new job"


def test_a_corrected_password_continues_the_job(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 500, "password": "wrong"}, {"fault": "publish_fails"})
    run.attempt()
    run.attempt(source={"password": "right"})
    assert any("publishing the staged data" in line.message for line in run.log)


def test_the_engine_role_sees_its_schema_and_nothing_else(
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


def test_installing_twice_changes_nothing(engine_postgres: object, state_dsn: str) -> None:
    from local.database.postgres import EmbeddedPostgres
    from tests.engine.conftest import ROLE

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


def test_an_unknown_kind_is_a_configuration_failure(rehearse: Rehearse) -> None:
    run = rehearse(source_kind="telepathy")
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION


def test_a_manually_set_position_is_where_the_next_run_continues(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 50}, sync_mode="incremental", write_mode="append")
    assert not state.continue_from(run.spec.state_dsn, run.spec.stream_key, '{"after": 40}')
    run.attempt()
    assert state.continue_from(run.spec.state_dsn, run.spec.stream_key, '{"after": 40}')
    run.next_run()
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 10
    assert rows_of(run.folder) == sorted([*range(1, 51), *range(41, 51)])


def test_old_jobs_are_pruned_and_the_newest_are_kept(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 5}, sync_mode="incremental", write_mode="append")
    for _ in range(3):
        run.attempt()
        run.next_run()
    where = "where name = %s"
    with psycopg.connect(run.spec.state_dsn) as connection:
        connection.execute(
            f"update engine.stream_jobs set created_at = created_at - interval '90 days' {where}",
            (run.spec.stream_key,),
        )
    state.prune(run.spec.state_dsn, keep_jobs=2)
    with psycopg.connect(run.spec.state_dsn) as connection:
        left = connection.execute(
            f"select count(*) from engine.stream_jobs {where}", (run.spec.stream_key,)
        ).fetchone()
    assert left == (2,)
    run.attempt(source={"rows": 8})
    assert rows_of(run.folder) == list(range(1, 9)), "the state of the newest was kept"


def test_bizons_own_backend_reads_what_we_write(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 300, "answer": "zero_division", "after": 200, "while_exists": "x"})
    run.attempt()
    names = (run.spec.stream_key, "unruly", "numbers")
    backend: Any = BizonsBackend(run.spec.state_dsn)
    job = backend.get_running_stream_job(*names)
    last = backend.get_last_cursor_by_job_id(job.id)
    assert (last.to_source_iteration, last.pagination) == (1, '{"after": 200}')
    assert backend.get_number_of_written_rows_for_job(job.id) == 200
    backend.session.remove()
    run.trouble.unlink()
    run.attempt()
    done = backend.get_last_successful_stream_job(*names)
    assert (done.id, done.incremental_state) == (job.id, '{"after": 300}')
    assert backend.get_running_stream_job(*names) is None
    backend.session.remove()


class BizonsBackend(SQLAlchemyBackend):
    """bizon's function, with a connection string that allows any password."""

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
