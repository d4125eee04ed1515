"""Killed with SIGKILL at any moment of staging or publishing and run again: no row is lost or duplicated."""

from __future__ import annotations

from typing import Any

import pytest

from apps.engine.contract import WriteMode
from tests.engine.destinations.killed import AT_THE_END, Zygote
from tests.engine.destinations.spelling import bag
from tests.engine.destinations.targets import Sync, Target, sync


def rows(start: int, count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": i, "name": f"user {i}", **more} for i in range(start, start + count)]


def job_of(target: Target, mode: WriteMode, start: int) -> tuple[Sync, list[dict[str, Any]]]:
    """Two committed batches, the second wider, and one that was staged and never committed."""
    job = Sync(target, mode)
    first, second = rows(start, 5), rows(start + 5, 3, more=1.5)
    job.write(first)
    job.write(second)
    job.stage(rows(start + 8, 2))
    job.destination.close()
    target.release()
    return job, first + second


TRIES = pytest.mark.parametrize("tries", [2, pytest.param(6, marks=pytest.mark.long)])


def moments(last: int, tries: int) -> list[int]:
    """Spread over all moments, and the one after the last (their number differs slightly between attempts)."""
    return [*sorted({1 + last * i // (tries + 1) for i in range(1, tries + 1)}), AT_THE_END]


@TRIES
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_killed_while_publishing(
    target: Target, zygote: Zygote, mode: WriteMode, tries: int
) -> None:
    sync(target, rows(0, 2), mode=mode)
    job, expected = job_of(target, mode, 10)
    last = zygote.publish(job, kill_at=0).moments
    visible = expected if mode == "replace" else rows(0, 2) + expected
    before = visible

    for attempt, moment in enumerate(moments(last, tries), start=1):
        job, new = job_of(target, mode, attempt * 100)
        assert zygote.publish(job, kill_at=moment).killed
        visible = new if mode == "replace" else before + new
        found = bag(target.rows() or [])
        assert found in (bag(before), bag(visible)), "half of a job is visible"
        target.release()
        job.attempt()
        job.publish()
        job.destination.close()
        assert bag(target.rows() or []) == bag(visible)
        assert target.staged() == 0
        target.release()
        before = visible


@TRIES
def test_killed_while_staging(target: Target, zygote: Zygote, tries: int) -> None:
    job = Sync(target, "append")
    late = rows(50, 4, late=True)
    job.write(rows(0, 3))
    target.release()
    last = zygote.stage(job, late, kill_at=0).moments
    for moment in moments(last, tries):
        assert zygote.stage(job, late, kill_at=moment).killed
    job.attempt()
    job.write(rows(3, 3))
    job.publish()
    assert bag(target.rows() or []) == bag(rows(0, 6))


def test_the_tests_above_would_notice_a_job_published_twice(target: Target, zygote: Zygote) -> None:
    """The negative control: killed at the last moment, the rows are published; without the record of the job they
    are duplicated.
    """
    job, expected = job_of(target, "append", 0)
    again, _ = job_of(target, "append", 0)
    assert not zygote.publish(again, kill_at=0).killed
    assert zygote.publish(job, kill_at=AT_THE_END).killed
    assert bag(target.rows() or []) == bag(2 * expected)
