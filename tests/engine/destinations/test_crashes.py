"""Kill a process at any moment of staging or publishing. The next attempt loses and duplicates no row."""

from __future__ import annotations

from typing import Any

import pytest

from apps.engine.contract import WriteMode
from tests.engine.destinations.fork_server import KILL_BEFORE_RESULT, ForkServer
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.targets import SyncJob, Target, sync


def make_rows(start: int, count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"id": i, "name": f"user {i}", **fields} for i in range(start, start + count)]


def make_job(target: Target, mode: WriteMode, start: int) -> tuple[SyncJob, list[dict[str, Any]]]:
    """Return a job and its rows: two committed batches, the second with one more column, and one uncommitted batch."""
    job = SyncJob(target, mode)
    first, second = make_rows(start, 5), make_rows(start + 5, 3, score=1.5)
    job.write(first)
    job.write(second)
    job.stage(make_rows(start + 8, 2))
    job.destination.close()
    target.release_locks()
    return job, first + second


WITH_KILL_COUNTS = pytest.mark.parametrize("kills", [2, pytest.param(6, marks=pytest.mark.long)])


def choose_moments(moment_count: int, kills: int) -> list[int]:
    """Return moments spread evenly over the attempt, and the moment after its end.

    The number of moments differs slightly between attempts.
    """
    return [
        *sorted({1 + moment_count * i // (kills + 1) for i in range(1, kills + 1)}),
        KILL_BEFORE_RESULT,
    ]


@pytest.mark.sample(5)
@WITH_KILL_COUNTS
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_job_killed_while_publishing_is_published_once_by_the_next_attempt(
    target: Target, fork_server: ForkServer, mode: WriteMode, kills: int
) -> None:
    sync(target, make_rows(0, 2), mode=mode)
    job, expected = make_job(target, mode, 10)
    moment_count = fork_server.publish(job, kill_at=0).moments
    expected_visible = expected if mode == "replace" else make_rows(0, 2) + expected
    rows_before = expected_visible

    for attempt, moment in enumerate(choose_moments(moment_count, kills), start=1):
        job, job_rows = make_job(target, mode, attempt * 100)
        assert fork_server.publish(job, kill_at=moment).killed
        expected_visible = job_rows if mode == "replace" else rows_before + job_rows
        visible_rows = multiset(target.read_rows() or [])
        assert visible_rows in (multiset(rows_before), multiset(expected_visible)), (
            "a part of the job is visible"
        )
        target.release_locks()
        job.start_attempt()
        job.publish()
        job.destination.close()
        assert multiset(target.read_rows() or []) == multiset(expected_visible)
        assert target.count_staged() == 0
        target.release_locks()
        rows_before = expected_visible


@WITH_KILL_COUNTS
def test_a_batch_of_a_process_killed_while_staging_is_not_published(
    target: Target, fork_server: ForkServer, kills: int
) -> None:
    job = SyncJob(target, "append")
    batch_rows = make_rows(50, 4, late=True)
    job.write(make_rows(0, 3))
    target.release_locks()
    moment_count = fork_server.stage(job, batch_rows, kill_at=0).moments
    for moment in choose_moments(moment_count, kills):
        assert fork_server.stage(job, batch_rows, kill_at=moment).killed
    job.start_attempt()
    job.write(make_rows(3, 3))
    job.publish()
    assert multiset(target.read_rows() or []) == multiset(make_rows(0, 6))


def test_two_jobs_with_the_same_rows_double_the_rows(
    target: Target, fork_server: ForkServer
) -> None:
    """This is the negative control of the first test. Without the record of a published job, it would find rows twice."""
    job, expected = make_job(target, "append", 0)
    same_rows_job, _ = make_job(target, "append", 0)
    assert not fork_server.publish(same_rows_job, kill_at=0).killed
    assert fork_server.publish(job, kill_at=KILL_BEFORE_RESULT).killed
    assert multiset(target.read_rows() or []) == multiset(2 * expected)
