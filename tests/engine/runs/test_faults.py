"""Killed at any moment and run again: the destination's content equals the source's exactly."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import psycopg
import pytest

from apps.engine.contract import Failed, Succeeded, SyncMode
from apps.engine.failures import FailureClass
from apps.engine.process.supervisor import EngineSupervisor
from apps.engine.sync import state
from local.database.postgres import EmbeddedPostgres, temporary_postgres
from tests.engine.conftest import ROLE, ROLE_PASSWORD, Rehearsal
from tests.engine.ledger import rows_of

Rehearse = Callable[..., Rehearsal]
ROWS = 2000
SLOWLY = {"rows": ROWS, "page_size": 20, "delay": 0.01}  # 100 pages and some checkpoints
WANTED = list(range(1, ROWS + 1))
KEEPS_COMMITS = {"synchronous_commit": "on"}  # for a server that a test kills


MOMENTS = ("page", "page done", "checkpoint", "checkpoint done", "publish", "publish done")


def moments(seed: object, pages: int) -> Iterator[str]:
    """Moments at which a child is killed: an early one, which is always reached, then random ones."""
    chance = random.Random(str(seed))
    yield f"page {chance.randint(2, pages // 2)}"
    while True:
        name = chance.choice(MOMENTS)
        last = {"page": pages // 4, "checkpoint": 3, "publish": 1}[name.split()[0]]
        yield f"{name} {chance.randint(1, last)}"


@pytest.mark.parametrize(
    "modes",
    [
        {"sync_mode": "full_refresh", "write_mode": "replace"},
        {"sync_mode": "incremental", "write_mode": "append"},
    ],
    ids=["full_refresh", "incremental"],
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_child_killed_at_random_moments_resumes_without_losing_or_doubling_a_row(
    rehearse: Rehearse, modes: dict[str, str], seed: int
) -> None:
    run = rehearse(SLOWLY, **modes)
    hits = 0
    for moment in islice(moments(seed, ROWS // 20), 6):
        outcome = run.attempt_killed(moment)
        if isinstance(outcome, Succeeded):
            break
        hits += run.was_hit
        assert outcome.failure_class is FailureClass.CRASHED, moment
    else:
        outcome = run.attempt()
    assert hits >= 1, "the fault fired"
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.read == outcome.written == ROWS
    assert rows_of(run.folder) == WANTED


@pytest.mark.parametrize("point", ["exit_after_stage", "exit_after_publish"])
def test_a_death_between_two_commits_is_made_good(rehearse: Rehearse, point: str) -> None:
    run = rehearse({"rows": 300}, {"fault": point, "while_exists": "trouble"})
    first = run.attempt()
    assert isinstance(first, Failed)
    assert "exit code 9" in first.evidence
    run.trouble.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert rows_of(run.folder) == list(range(1, 301))


@pytest.mark.parametrize("rows", [300, 0])
@pytest.mark.parametrize("sync_mode", ["full_refresh", "incremental"])
def test_a_finished_sync_whose_end_was_not_recorded_is_not_run_again(
    rehearse: Rehearse, sync_mode: str, rows: int
) -> None:
    """The worker died after the child's last message: the run's next attempt finds the work done."""
    run = rehearse({"rows": rows}, sync_mode=sync_mode, write_mode="append")
    first = run.attempt()
    assert isinstance(first, Succeeded)
    again = run.attempt()
    assert again == first
    assert rows_of(run.folder) == list(range(1, rows + 1))

    run.next_run()
    assert isinstance(run.attempt(), Succeeded)
    assert len(rows_of(run.folder)) == rows * (2 if sync_mode == "full_refresh" else 1)


def test_an_incremental_sync_does_not_continue_from_before_a_full_refresh(
    rehearse: Rehearse,
) -> None:
    run = rehearse({"rows": 100}, sync_mode="incremental", write_mode="append")
    assert isinstance(run.attempt(), Succeeded)
    syncs: list[tuple[SyncMode, int]] = [("full_refresh", 150), ("incremental", 200)]
    for mode, rows in syncs:
        run.next_run()
        run.spec = replace(
            run.spec,
            source=replace(run.spec.source, sync_mode=mode),
            destination=replace(
                run.spec.destination, write_mode="replace" if mode == "full_refresh" else "append"
            ),
        )
        assert isinstance(run.attempt(source={"rows": rows}), Succeeded)
        assert rows_of(run.folder) == list(range(1, rows + 1))


@pytest.mark.parametrize("sync_mode", ["full_refresh", "incremental"])
def test_a_sync_whose_position_is_gone_starts_over_by_itself(
    rehearse: Rehearse, sync_mode: str
) -> None:
    source = {"rows": 900, "page_size": 100, "delay": 0.1, "answer": "gone", "after": 500}
    run = rehearse({**source, "while_exists": "trouble"}, sync_mode=sync_mode, write_mode="append")
    outcome = run.attempt()
    assert not run.trouble.exists(), "the fault fired"
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written) == (900, 900)
    assert rows_of(run.folder) == list(range(1, 901))
    assert any(
        "Reading from the beginning, since the rows were replaced" in line.message
        for line in run.log
    )


def test_without_the_roll_back_the_same_death_doubles_rows(rehearse: Rehearse) -> None:
    """The negative control: the test above can fail."""
    run = rehearse({"rows": 300}, {"fault": "exit_after_stage", "while_exists": "trouble"})
    assert isinstance(run.attempt(), Failed)
    run.trouble.unlink()
    (run.folder / "no_rollback").touch()
    assert isinstance(run.attempt(), Succeeded)
    rows = rows_of(run.folder)
    assert set(rows) == set(range(1, 301))
    assert len(rows) > 300  # the rows staged before the death; on a busy machine not all of them


def test_a_frozen_attempt_that_wakes_up_after_another_took_over_changes_nothing(
    rehearse: Rehearse,
) -> None:
    first = rehearse(SLOWLY)
    second = replace(first, events=[])

    def freeze_and_overtake() -> None:
        os.kill(first.pid, signal.SIGSTOP)
        second.spec = first.spec
        assert isinstance(second.attempt(), Succeeded)
        assert rows_of(first.folder) == WANTED

    def thaw() -> None:
        os.kill(first.pid, signal.SIGCONT)

    outcome = first.attempt_held("page 50", freeze_and_overtake, afterwards=thaw)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CRASHED
    assert outcome.retryable
    assert rows_of(first.folder) == WANTED


def test_an_older_attempt_cannot_take_the_stream_from_a_newer_one(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 10})
    run.spec = replace(run.spec, attempt=5)
    assert isinstance(run.attempt(), Succeeded)
    run.spec = replace(run.spec, attempt=2)
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "owns this stream" in outcome.message


def test_two_runs_of_one_stream_at_once_leave_one_winner_and_the_right_rows(
    rehearse: Rehearse,
) -> None:
    first = rehearse(SLOWLY)
    second = replace(first, events=[])
    second.next_run()
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda run: run.attempt(), [first, second]))
    assert sum(isinstance(outcome, Succeeded) for outcome in outcomes) >= 1
    assert rows_of(first.folder) == WANTED


def test_a_reset_stops_the_running_attempt_at_its_next_checkpoint(rehearse: Rehearse) -> None:
    run = rehearse(SLOWLY)

    def reset() -> None:
        state.reset(run.spec.state_dsn, run.spec.stream_key)

    outcome = run.attempt_held("checkpoint 1", reset)
    assert isinstance(outcome, Failed)
    assert "owns this stream" in outcome.message
    assert isinstance(run.attempt(), Succeeded)
    assert rows_of(run.folder) == WANTED


def test_a_killed_database_fails_the_run_and_the_next_attempt_continues(
    rehearse: Rehearse,
) -> None:
    with temporary_postgres(KEEPS_COMMITS) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role {ROLE} login password '{ROLE_PASSWORD}'")
        state.install(server.url(), role=ROLE)
        run = rehearse(SLOWLY)
        for moment in ("page 7", "checkpoint 1", "publish 1"):
            # another process may have taken its port while it was down
            address = server.url(user=ROLE, password=ROLE_PASSWORD)
            run.spec = replace(run.spec, state_dsn=address)
            outcome = run.attempt_held(moment, lambda: kill(server))
            assert isinstance(outcome, Failed), outcome
            assert outcome.failure_class is FailureClass.INTERNAL
            assert outcome.retryable
            server.start()
        run.spec = replace(run.spec, state_dsn=server.url(user=ROLE, password=ROLE_PASSWORD))
        assert isinstance(run.attempt(), Succeeded)
        assert rows_of(run.folder) == WANTED


def kill(server: EmbeddedPostgres) -> None:
    """Kill the server as a power failure would; it is gone when this returns."""
    assert server.process is not None
    server.process.kill()
    server.process.wait(10)


def test_a_killed_fork_server_takes_its_runs_with_it_and_the_next_one_continues(
    rehearse: Rehearse,
) -> None:
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",))
    engine.start(wait=30)
    try:
        run = rehearse(SLOWLY)
        run.engine = engine
        before = engine.server_pid
        assert before is not None
        outcome = run.attempt_held("page 50", lambda: os.kill(before, signal.SIGKILL))
        assert isinstance(outcome, Failed)
        assert outcome.failure_class is FailureClass.CRASHED
        assert "fork server" in outcome.message
        _wait_until_gone(run.pid)
        assert isinstance(run.attempt(), Succeeded)
        assert engine.server_pid not in {None, before}
        assert rows_of(run.folder) == WANTED
    finally:
        engine.close()


def _wait_until_gone(pid: int) -> None:
    """The kernel kills it a moment after its parent is gone."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        threading.Event().wait(0.01)
    pytest.fail("the child outlived its fork server")
