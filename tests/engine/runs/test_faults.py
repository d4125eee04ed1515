"""Kill a run at any moment and attempt it again. The destination then has exactly the rows of the source."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import psycopg
import pytest

from apps.engine.contract import Event, Failed, Outcome, Progress, Succeeded, SyncMode
from apps.engine.failures import FailureClass
from apps.engine.process.supervisor import EngineSupervisor
from apps.engine.sync import state, statements
from local.database.postgres import EmbeddedPostgres, temporary_postgres
from tests.engine.conftest import ROLE, ROLE_PASSWORD, Rehearsal
from tests.engine.ledger import published_ids

MakeRehearsal = Callable[..., Rehearsal]
ROWS = 2000
SLOW_SOURCE = {"rows": ROWS, "page_size": 20, "delay": 0.01}  # 100 pages and several checkpoints
ALL_IDS = list(range(1, ROWS + 1))
# A server with these settings keeps committed rows when a test kills it.
DURABLE_SETTINGS = {"synchronous_commit": "on"}


MOMENT_NAMES = ("page", "page done", "checkpoint", "checkpoint done", "publish", "publish done")


def random_moments(seed: object, pages: int) -> Iterator[str]:
    """Yield moments at which to kill a child: first an early one that every run reaches, then random ones."""
    rng = random.Random(str(seed))
    yield f"page {rng.randint(2, pages // 2)}"
    while True:
        name = rng.choice(MOMENT_NAMES)
        highest = {"page": pages // 4, "checkpoint": 3, "publish": 1}[name.split()[0]]
        yield f"{name} {rng.randint(1, highest)}"


@pytest.mark.parametrize(
    "modes",
    [
        {"sync_mode": "full_refresh", "write_mode": "replace"},
        {"sync_mode": "incremental", "write_mode": "append"},
    ],
    ids=["full_refresh", "incremental"],
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_child_killed_at_random_moments_loses_and_duplicates_no_row(
    make_rehearsal: MakeRehearsal, modes: dict[str, str], seed: int
) -> None:
    run = make_rehearsal(SLOW_SOURCE, **modes)
    kill_count = 0
    for moment in islice(random_moments(seed, ROWS // 20), 6):
        outcome = run.attempt_with_kill(moment)
        if isinstance(outcome, Succeeded):
            break
        kill_count += run.child_was_killed
        assert outcome.failure_class is FailureClass.CRASHED, moment
    else:
        outcome = run.attempt()
    assert kill_count >= 1, "no attempt was killed"
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.read == outcome.written == ROWS
    assert published_ids(run.folder) == ALL_IDS


@pytest.mark.parametrize("fault", ["exit_after_stage", "exit_after_publish"])
def test_an_exit_between_two_commits_loses_and_duplicates_no_row(
    make_rehearsal: MakeRehearsal, fault: str
) -> None:
    run = make_rehearsal({"rows": 300}, {"fault": fault, "while_exists": "failure_flag"})
    first = run.attempt()
    assert isinstance(first, Failed)
    assert "exit code 9" in first.evidence
    run.failure_flag.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert published_ids(run.folder) == list(range(1, 301))


@pytest.mark.parametrize("rows", [300, 0])
@pytest.mark.parametrize("sync_mode", ["full_refresh", "incremental"])
def test_a_finished_sync_is_not_run_again_if_its_outcome_was_not_recorded(
    make_rehearsal: MakeRehearsal, sync_mode: str, rows: int
) -> None:
    """If the worker died after the child's last message, the next attempt returns the same outcome."""
    run = make_rehearsal({"rows": rows}, sync_mode=sync_mode, write_mode="append")
    first = run.attempt()
    assert isinstance(first, Succeeded)
    second = run.attempt()
    assert second == first
    assert published_ids(run.folder) == list(range(1, rows + 1))

    run.start_new_run()
    assert isinstance(run.attempt(), Succeeded)
    assert len(published_ids(run.folder)) == rows * (2 if sync_mode == "full_refresh" else 1)


def test_an_incremental_sync_continues_from_a_later_full_refresh(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 100}, sync_mode="incremental", write_mode="append")
    assert isinstance(run.attempt(), Succeeded)
    syncs: list[tuple[SyncMode, int]] = [("full_refresh", 150), ("incremental", 200)]
    for mode, rows in syncs:
        run.start_new_run()
        run.spec = replace(
            run.spec,
            source=replace(run.spec.source, sync_mode=mode),
            destination=replace(
                run.spec.destination, write_mode="replace" if mode == "full_refresh" else "append"
            ),
        )
        assert isinstance(run.attempt(source={"rows": rows}), Succeeded)
        assert published_ids(run.folder) == list(range(1, rows + 1))


@pytest.mark.parametrize("sync_mode", ["full_refresh", "incremental"])
def test_a_sync_that_lost_its_position_starts_over_in_the_same_attempt(
    make_rehearsal: MakeRehearsal, sync_mode: str
) -> None:
    source = {"rows": 900, "page_size": 100, "delay": 0.1, "answer": "gone", "after": 500}
    run = make_rehearsal(
        {**source, "while_exists": "failure_flag"}, sync_mode=sync_mode, write_mode="append"
    )
    outcome = run.attempt()
    assert not run.failure_flag.exists(), "the source did not lose its position"
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written) == (900, 900)
    assert published_ids(run.folder) == list(range(1, 901))
    assert any(
        "Reading from the beginning, since the rows were replaced" in line.message
        for line in run.log
    )


def test_without_the_roll_back_an_exit_between_two_commits_duplicates_rows(
    make_rehearsal: MakeRehearsal,
) -> None:
    """This is the negative control. Without the roll-back, an attempt that was killed leaves duplicate rows."""
    run = make_rehearsal(
        {"rows": 300}, {"fault": "exit_after_stage", "while_exists": "failure_flag"}
    )
    assert isinstance(run.attempt(), Failed)
    run.failure_flag.unlink()
    (run.folder / "no_rollback").touch()
    assert isinstance(run.attempt(), Succeeded)
    rows = published_ids(run.folder)
    assert set(rows) == set(range(1, 301))
    assert len(rows) > 300  # a busy machine may have staged only some rows before the exit


def test_a_frozen_attempt_that_continues_after_its_successor_changes_nothing(
    make_rehearsal: MakeRehearsal,
) -> None:
    first = make_rehearsal(SLOW_SOURCE)
    second = replace(first, events=[])

    def freeze_and_overtake() -> None:
        os.kill(first.pid, signal.SIGSTOP)
        second.spec = first.spec
        assert isinstance(second.attempt(), Succeeded)
        assert published_ids(first.folder) == ALL_IDS

    def resume_child() -> None:
        os.kill(first.pid, signal.SIGCONT)

    outcome = first.attempt_with_hold("page 50", freeze_and_overtake, after_release=resume_child)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CRASHED
    assert outcome.retryable
    assert published_ids(first.folder) == ALL_IDS


def test_an_older_attempt_fails_if_a_newer_one_owns_the_stream(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 10})
    run.spec = replace(run.spec, attempt=5)
    assert isinstance(run.attempt(), Succeeded)
    run.spec = replace(run.spec, attempt=2)
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "owns this stream" in outcome.message


def test_two_concurrent_runs_of_one_stream_publish_each_row_once(
    make_rehearsal: MakeRehearsal,
) -> None:
    first = make_rehearsal(SLOW_SOURCE)
    second = replace(first, events=[])
    second.start_new_run()
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda run: run.attempt(), [first, second]))
    assert any(isinstance(outcome, Succeeded) for outcome in outcomes), outcomes
    assert published_ids(first.folder) == ALL_IDS


def test_an_attempt_that_lost_the_stream_does_not_disconnect_its_new_owner(
    make_rehearsal: MakeRehearsal,
) -> None:
    first = make_rehearsal({**SLOW_SOURCE, "delay": 0.03})
    second = replace(first, events=[])
    second.start_new_run()
    # While a third connection has the lock, the first attempt owns the stream without its lock.
    lock_holder = psycopg.connect(first.spec.state_dsn, autocommit=True)
    lock_holder.execute(statements.TRY_LOCK, {"key": first.spec.stream_key})
    moves_records = threading.Event()
    overtaking: list[Future[Outcome]] = []

    def notice_records(event: Event) -> None:
        if isinstance(event, Progress):
            moves_records.set()

    def overtake() -> None:
        lock_holder.close()
        overtaking.append(pool.submit(second.attempt, on_event=notice_records))
        assert moves_records.wait(30)
        assert not overtaking[0].done()

    with ThreadPoolExecutor(1) as pool:
        outcome = first.attempt_with_hold("lock 1", overtake)
    assert isinstance(outcome, Failed)
    assert outcome.message == "Another attempt owns this stream now."
    assert isinstance(overtaking[0].result(), Succeeded)
    assert published_ids(first.folder) == ALL_IDS


def test_a_reset_stops_the_running_attempt_at_its_next_checkpoint(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal(SLOW_SOURCE)

    def reset() -> None:
        state.reset(run.spec.state_dsn, run.spec.stream_key)

    outcome = run.attempt_with_hold("checkpoint 1", reset)
    assert isinstance(outcome, Failed)
    assert "owns this stream" in outcome.message
    assert isinstance(run.attempt(), Succeeded)
    assert published_ids(run.folder) == ALL_IDS


def test_a_killed_database_fails_the_run_and_the_next_attempt_continues(
    make_rehearsal: MakeRehearsal,
) -> None:
    with temporary_postgres(DURABLE_SETTINGS) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role {ROLE} login password '{ROLE_PASSWORD}'")
        state.install(server.url(), role=ROLE)
        run = make_rehearsal(SLOW_SOURCE)
        for moment in ("page 7", "checkpoint 1", "publish 1"):
            # Another process may have taken the port while the server was down.
            address = server.url(user=ROLE, password=ROLE_PASSWORD)
            run.spec = replace(run.spec, state_dsn=address)
            outcome = run.attempt_with_hold(moment, lambda: kill_server(server))
            assert isinstance(outcome, Failed), outcome
            assert outcome.failure_class is FailureClass.INTERNAL
            assert outcome.retryable
            server.start()
        run.spec = replace(run.spec, state_dsn=server.url(user=ROLE, password=ROLE_PASSWORD))
        assert isinstance(run.attempt(), Succeeded)
        assert published_ids(run.folder) == ALL_IDS


def kill_server(server: EmbeddedPostgres) -> None:
    """Kill the server as a power failure would, and wait until its process has exited."""
    assert server.process is not None
    server.process.kill()
    server.process.wait(10)


def test_killing_the_fork_server_ends_its_run_and_the_next_attempt_succeeds(
    make_rehearsal: MakeRehearsal,
) -> None:
    engine = EngineSupervisor(preload=("tests.engine.rehearsal",))
    engine.start(wait=30)
    try:
        run = make_rehearsal(SLOW_SOURCE)
        run.engine = engine
        old_server_pid = engine.server_pid
        assert old_server_pid is not None
        outcome = run.attempt_with_hold("page 50", lambda: os.kill(old_server_pid, signal.SIGKILL))
        assert isinstance(outcome, Failed)
        assert outcome.failure_class is FailureClass.CRASHED
        assert "fork server" in outcome.message
        _wait_for_exit(run.pid)
        assert isinstance(run.attempt(), Succeeded)
        assert engine.server_pid not in {None, old_server_pid}
        assert published_ids(run.folder) == ALL_IDS
    finally:
        engine.close()


def _wait_for_exit(pid: int) -> None:
    """Wait until the process has exited. The kernel kills it shortly after its parent has exited."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        threading.Event().wait(0.01)
    pytest.fail("the child outlived its fork server")
