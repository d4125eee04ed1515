"""Streams of one run that share a child: what they share, and what they must not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psycopg
import pytest

from apps.engine.contract import CodeSpec, Failed, Network, Succeeded
from apps.engine.process.stream_series import StreamSeries
from apps.engine.process.supervisor import EngineSupervisor
from local.database.postgres import EmbeddedPostgres
from tests.engine.conftest import Rehearsal
from tests.engine.runs.test_real_destinations import postgres_settings

MakeRehearsal = Callable[..., Rehearsal]


@pytest.fixture
def series(supervisor: EngineSupervisor) -> Iterator[StreamSeries]:
    with supervisor.streams() as opened:
        yield opened


def run_all(series: StreamSeries, *runs: Rehearsal) -> list[int]:
    """Run the streams, which succeed, and return the process id of each one's child."""
    for run in runs:
        outcome = run.attempt(series=series)
        assert isinstance(outcome, Succeeded), outcome
    return [run.pid for run in runs]


def test_streams_that_succeed_share_a_child_and_all_rows_arrive(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    runs = [make_rehearsal({"rows": 100 * n}) for n in (1, 2, 3)]
    assert len(set(run_all(series, *runs))) == 1
    for n, run in enumerate(runs, 1):
        assert run.progress[-1].written == 100 * n
        assert [line.message for line in run.log].count("Starting a new sync") == 1


def test_the_child_ends_with_the_series(
    make_rehearsal: MakeRehearsal, supervisor: EngineSupervisor
) -> None:
    run = make_rehearsal({"rows": 10})
    with supervisor.streams() as series:
        run_all(series, run)
        os.kill(run.pid, 0)
    wait_until_gone(run.pid)


def test_a_stream_that_fails_gets_no_successor_in_its_child(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    before, failing, after = (make_rehearsal({"rows": 10}) for _ in range(3))
    failing.change_settings(source={"rows": "many"})
    run_all(series, before)
    outcome = failing.attempt(series=series)
    assert isinstance(outcome, Failed)
    run_all(series, after)
    assert failing.pid == before.pid
    assert after.pid != failing.pid


def test_a_child_that_is_killed_in_a_stream_fails_only_this_stream(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    before, killed, after = (make_rehearsal({"rows": 5_000, "page_size": 10}) for _ in range(3))
    run_all(series, before)

    def kill_once(_event: object) -> None:
        if killed.progress and killed.progress[-1].written:
            os.kill(before.pid, signal.SIGKILL)

    outcome = killed.attempt(series=series, on_event=kill_once)
    assert isinstance(outcome, Failed), "the kill came too late"
    assert outcome.failure_class == "crashed"
    run_all(series, after)
    assert after.pid != before.pid
    assert after.progress[-1].written == 5_000


def test_a_child_that_dies_while_it_waits_is_replaced(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    before, after = (make_rehearsal({"rows": 10}) for _ in range(2))
    run_all(series, before)
    os.kill(before.pid, signal.SIGKILL)
    wait_until_gone(before.pid)
    time.sleep(0.1)  # The fork server reports the exit.
    run_all(series, after)
    assert after.pid != before.pid


def test_a_stop_reaches_the_second_stream_of_a_child(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    first = make_rehearsal({"rows": 10})
    second = make_rehearsal({"rows": 100_000, "page_size": 10, "delay": 0.01})
    run_all(series, first)
    outcome = second.attempt(series=series, stop=lambda: "cancelled" if second.progress else None)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class == "cancelled"
    assert second.pid == first.pid


def test_streams_with_code_of_users_have_a_child_of_their_own(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    plain, transformed, last = (make_rehearsal({"rows": 10}) for _ in range(3))
    code = CodeSpec("def transform(record):\n    return record\n")
    transformed.spec = replace(transformed.spec, transform=code)
    pids = run_all(series, plain, transformed, last)
    assert len(set(pids)) == 3


def test_a_child_that_has_used_much_memory_is_not_used_again(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    first = make_rehearsal({"rows": 10, "answer": "memory"})
    second = make_rehearsal({"rows": 10})
    assert len(set(run_all(series, first, second))) == 2


def test_the_streams_of_a_child_share_their_connections(
    make_rehearsal: MakeRehearsal, series: StreamSeries, engine_postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        admin.execute(
            "CREATE TABLE IF NOT EXISTS shared_orders AS SELECT generate_series(1, 9) AS id"
        )
        target = {**postgres_settings(engine_postgres), "schema": "copies"}
        source = {name: value for name, value in target.items() if name != "schema"}
        runs = [
            make_rehearsal(
                dict(source),
                dict(target),
                source_kind="postgres",
                destination_kind="postgres",
                stream="shared_orders",
            )
            for _ in range(3)
        ]
        for run in runs:
            run.spec = replace(run.spec, allow_private_networks=True)
        backends = []
        for run in runs:
            run_all(series, run)
            rows = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
            ).fetchall()
            backends.append({pid for (pid,) in rows})
        assert backends[0] == backends[1] == backends[2]
        # The state, the source, its second connection for large tables, and the destination.
        assert len(backends[0]) <= 4


def test_a_connection_that_the_server_has_ended_is_replaced(
    make_rehearsal: MakeRehearsal, series: StreamSeries, engine_postgres: EmbeddedPostgres
) -> None:
    first, second = (make_rehearsal({"rows": 10}) for _ in range(2))
    run_all(series, first)
    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        ended = admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app_engine'"
        ).fetchone()
    assert ended is not None
    assert ended[0] >= 1, "no connection was ended"
    run_all(series, second)
    assert second.pid == first.pid


def test_a_stream_reports_no_hosts_of_the_stream_before(
    make_rehearsal: MakeRehearsal, series: StreamSeries, engine_postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        admin.execute("CREATE TABLE IF NOT EXISTS one_row AS SELECT 1 AS id")
    source = postgres_settings(engine_postgres)
    del source["schema"]
    connecting = make_rehearsal(source, source_kind="postgres", stream="one_row")
    connecting.spec = replace(connecting.spec, allow_private_networks=True)
    silent = make_rehearsal({"rows": 10})
    assert len(set(run_all(series, connecting, silent))) == 1
    assert hosts(connecting)
    assert not hosts(silent)


def test_what_a_stream_has_printed_is_in_its_own_log_and_masked_with_its_own_secrets(
    make_rehearsal: MakeRehearsal, series: StreamSeries
) -> None:
    printing = make_rehearsal({"rows": 10, "answer": "half", "password": "first secret"})
    after = make_rehearsal({"rows": 10, "answer": "half", "password": "second secret"})
    assert len(set(run_all(series, printing, after))) == 1
    for run in (printing, after):
        printed = [line.message for line in run.log if line.fields.get("by") == "output"]
        assert printed == ["half a line with •••"]


def test_what_a_view_sets_for_its_session_does_not_reach_the_next_stream(
    make_rehearsal: MakeRehearsal, series: StreamSeries, engine_postgres: EmbeddedPostgres
) -> None:
    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        for statement in (
            "DROP SCHEMA IF EXISTS hostile CASCADE",
            "CREATE SCHEMA hostile",
            "CREATE TABLE hostile.accounts AS SELECT generate_series(1, 9) AS id",
            "CREATE VIEW hostile.a_view AS SELECT now() AS at"
            " WHERE set_config('role', 'app_engine', false) IS NOT NULL",
            "GRANT USAGE ON SCHEMA hostile TO app_engine",
            "GRANT SELECT ON hostile.a_view TO app_engine",
        ):
            admin.execute(statement)
    source = postgres_settings(engine_postgres)
    del source["schema"]
    view, table = (
        make_rehearsal(dict(source), source_kind="postgres", stream=f"hostile.{name}", **modes)
        for name, modes in (
            ("a_view", {"sync_mode": "incremental", "write_mode": "append"}),
            ("accounts", {}),
        )
    )
    view.spec = replace(view.spec, source=replace(view.spec.source, cursor_field="at"))
    for run in (view, table):
        run.spec = replace(run.spec, allow_private_networks=True)
    assert len(set(run_all(series, view, table))) == 1
    assert table.progress[-1].written == 9


def hosts(run: Rehearsal) -> list[object]:
    events = [event for event in run.events if isinstance(event, Network)]
    return list(events[-1].hosts) if events else []


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"the process {pid} is still there")
