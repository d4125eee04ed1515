"""What every destination must do, tested with each kind."""

from __future__ import annotations

import contextlib
import threading
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from apps.engine.destinations.base import Batch
from apps.engine.failures import DestinationError
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.targets import TARGETS, SyncJob, Target, sync

# Runs a test with each target. The buckets contain the same format as `parquet`, so they run in the long tests only.
WITH_EACH_FORMAT = pytest.mark.parametrize(
    "target",
    [pytest.param(name, marks=[pytest.mark.long] * (" on " in name)) for name in TARGETS],
    indirect=True,
)


def user_rows(start: int, stop: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"id": i, "name": f"user {i}", **fields} for i in range(start, stop)]


def test_replace_shows_only_the_new_rows(target: Target) -> None:
    assert not target.read_rows()
    assert sync(target, user_rows(0, 5), user_rows(5, 9)).rows == 9
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 9))
    assert sync(target, user_rows(100, 103)).rows == 3
    assert multiset(target.read_rows() or []) == multiset(user_rows(100, 103))


def test_append_keeps_the_earlier_rows(target: Target) -> None:
    sync(target, user_rows(0, 5), mode="append")
    assert sync(target, user_rows(3, 8), mode="append").rows == 5
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 5) + user_rows(3, 8))


def test_staged_rows_become_visible_only_by_publishing(target: Target) -> None:
    sync(target, user_rows(0, 2))
    job = SyncJob(target)
    job.write(user_rows(10, 20))
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 2))
    job.publish()
    assert multiset(target.read_rows() or []) == multiset(user_rows(10, 20))
    assert target.count_staged() == 0


def test_publishing_twice_changes_nothing_and_returns_the_same_result(target: Target) -> None:
    job = SyncJob(target, "append")
    job.write(user_rows(0, 4))
    first = job.publish()
    assert job.publish() == first
    job.start_attempt()
    assert job.publish() == first
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 4))


def test_publishing_an_older_job_again_changes_nothing(target: Target) -> None:
    older_job = SyncJob(target)
    older_job.write(user_rows(0, 4))
    rows = older_job.publish().rows
    sync(target, user_rows(50, 60))
    older_job.start_attempt()
    assert older_job.publish().rows == rows
    assert multiset(target.read_rows() or []) == multiset(user_rows(50, 60))


@pytest.mark.sample(2)
@pytest.mark.parametrize("rows", [user_rows(0, 4), []], ids=["rows", "empty"])
def test_a_frozen_publisher_changes_nothing_after_the_record_of_its_job_was_deleted(
    target: Target, rows: list[dict[str, Any]]
) -> None:
    sync(target, user_rows(90, 92))
    older_job = SyncJob(target)
    if rows:
        older_job.write(rows)
    frozen_destination = older_job.destination
    older_job.start_attempt()
    older_job.publish()
    newer_job = SyncJob(target)
    newer_job.write(user_rows(50, 60))
    newer_job.publish()
    newer_job.destination.delete_older_publications()
    with contextlib.suppress(DestinationError):
        frozen_destination.publish(tuple(older_job.committed))
    assert multiset(target.read_rows() or []) == multiset(user_rows(50, 60))


def test_a_batch_that_was_never_committed_is_never_published(target: Target) -> None:
    job = SyncJob(target, "append")
    job.write(user_rows(0, 3))
    job.stage(user_rows(3, 6))  # the process dies before the commit
    job.start_attempt()
    job.write(user_rows(3, 6))
    job.publish()
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 6))


def test_rows_staged_after_the_lease_was_lost_are_not_published(target: Target) -> None:
    job = SyncJob(target, "append")
    job.write(user_rows(0, 3))
    frozen_destination = job.destination
    job.start_attempt()
    frame = job.schema.decode(user_rows(900, 905)).frame
    # The frozen writer continues after the new attempt has opened the job.
    frozen_destination.stage(frame, Batch(uuid4().hex, 1, 1, 5))
    job.write(user_rows(3, 6))
    frozen_destination.stage(frame, Batch(uuid4().hex, 2, 2, 5))
    assert job.publish().rows == 6
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 6))


def test_a_batch_that_is_committed_twice_is_published_twice(target: Target) -> None:
    """This is the negative control of the two tests above. They would fail if a batch were published twice."""
    job = SyncJob(target, "append")
    job.write(user_rows(0, 3))
    batch = job.stage(user_rows(3, 6))
    job.committed.append(batch)
    job.write(user_rows(3, 6))
    job.publish()
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 3) + 2 * user_rows(3, 6))


@pytest.mark.sample(2)
@pytest.mark.parametrize("mode", ["replace", "append"])
def test_staged_and_committed_batches_survive_a_restart(target: Target, mode: Any) -> None:
    sync(target, user_rows(0, 2), mode=mode)
    job = SyncJob(target, mode)
    for start in (10, 20, 30):
        job.write(user_rows(start, start + 5))
        job.start_attempt()
    assert job.publish().rows == 15
    expected = user_rows(10, 15) + user_rows(20, 25) + user_rows(30, 35)
    assert multiset(target.read_rows() or []) == multiset(
        expected + (user_rows(0, 2) if mode == "append" else [])
    )


def test_abandoning_removes_all_staging_and_keeps_the_visible_rows(target: Target) -> None:
    sync(target, user_rows(0, 2))
    job = SyncJob(target)
    job.write(user_rows(5, 9))
    assert target.count_staged() > 0
    job.destination.abandon()
    job.destination.abandon()
    assert target.count_staged() == 0
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 2))


def test_an_empty_job_appends_no_rows_and_replaces_all_rows(target: Target) -> None:
    sync(target, user_rows(0, 2))
    assert sync(target, mode="append").rows == 0
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 2))
    assert sync(target).rows == 0
    assert target.read_rows() == []


def test_a_destination_tells_whether_it_has_rows_that_a_replacement_would_remove(
    target: Target,
) -> None:
    job = SyncJob(target)
    assert not job.destination.has_rows()
    job.write(user_rows(0, 2))
    assert not job.destination.has_rows(), "staged rows are not visible"
    job.publish()
    job = SyncJob(target)
    assert job.destination.has_rows()
    job.publish()
    assert not SyncJob(target).destination.has_rows()


@WITH_EACH_FORMAT
def test_batches_without_rows_or_columns_add_no_rows(target: Target) -> None:
    job = SyncJob(target)
    job.write(pl.DataFrame())
    job.write(pl.DataFrame({"id": []}, schema={"id": pl.Int64}))
    job.write(user_rows(0, 2))
    job.write(pl.DataFrame())
    job.start_attempt()
    assert job.publish().rows == 2
    assert multiset(target.read_rows() or []) == multiset(user_rows(0, 2))


@WITH_EACH_FORMAT
def test_a_sync_adds_columns_and_widens_types_between_batches(target: Target) -> None:
    first: list[dict[str, Any]] = [
        {"id": 1, "x": 1, "gone": "a", "empty": None},
        {"id": 2, "x": 2, "gone": "b"},
    ]
    second: list[dict[str, Any]] = [{"id": 3, "x": 2.5, "new": True}, {"id": 4, "x": 7}]
    third: list[dict[str, Any]] = [{"id": 5, "x": "text", "empty": 12}]
    sync(target, first, second, third)
    assert multiset(target.read_rows() or []) == multiset(
        [
            {"id": 1, "x": "1", "gone": "a"},
            {"id": 2, "x": "2", "gone": "b"},
            {"id": 3, "x": "2.5", "new": True},
            {"id": 4, "x": "7"},
            {"id": 5, "x": "text", "empty": 12},
        ]
    )


@WITH_EACH_FORMAT
def test_appending_widens_the_types_of_earlier_rows(target: Target) -> None:
    sync(target, [{"id": 1, "x": 5, "big": 2**60, "y": None}], mode="append")
    sync(target, [{"id": 2, "x": 1.5, "big": 0.5, "y": 3, "z": date(2024, 1, 2)}], mode="append")
    sync(target, [{"id": "three", "x": None}], mode="append")
    assert multiset(target.read_rows() or []) == multiset(
        [
            {"id": 1, "x": 5, "big": 2**60},
            {"id": 2, "x": 1.5, "big": 0.5, "y": 3, "z": date(2024, 1, 2)},
            {"id": "three"},
        ]
    )


UNUSUAL_TEXTS = [
    "émoji 😀 ‮ right-to-left",
    'quotes " and , commas',
    "lines\r\nand\ttabs",
    "\\N",
    "\\.",
    "back\\slash",
    " spaces ",
    "NULL",
    "'; DROP TABLE users; --",
    '{"a": 1}',
    "=1+1",
    "a" * 100_000,
]


@WITH_EACH_FORMAT
def test_unusual_texts_arrive_unchanged(target: Target) -> None:
    rows = [{"id": i, "text": text} for i, text in enumerate(UNUSUAL_TEXTS)]
    sync(target, rows)
    assert multiset(target.read_rows() or []) == multiset(rows)


@WITH_EACH_FORMAT
def test_unusual_column_names_arrive_unchanged(target: Target) -> None:
    row = {'na"me': 1, "with, comma": 2, "naïve 😀": 3, "select": 4, "a'b": 5, "%s": 6, "{}": 7}
    sync(target, [row])
    assert multiset(target.read_rows() or []) == multiset([row])


@WITH_EACH_FORMAT
def test_values_of_every_type_arrive(target: Target) -> None:
    rows = [
        {
            "integer": -(2**63),
            "number": 0.1,
            "special": float("nan"),
            "decimal": Decimal("12345678901234567890.123456789"),
            "beyond": 2**64,
            "flag": True,
            "day": date(1, 1, 1),
            "at": datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-5))),
            "local": datetime.fromisoformat("2024-02-29T12:00:00.000001"),
            "clock": time(23, 59, 59, 999999),
            "nested": {"a": [1, None, "ü"]},
            "bytes": b"\x00\xff\\x",
            "null": None,
        },
        {
            "integer": 2**63 - 1,
            "number": -1.7976931348623157e308,
            "special": float("-inf"),
            "decimal": Decimal("-0.000000001"),
            "beyond": -1,
            "flag": False,
            "day": date(9999, 12, 31),
            "at": datetime(1, 1, 1, tzinfo=UTC),
            "local": datetime.fromisoformat("9999-12-31T23:59:59.999999"),
            "clock": time(0),
            "nested": [],
            "bytes": b"x",
        },
    ]
    sync(target, rows)
    expected = [dict(row) for row in rows]
    expected[0]["nested"], expected[1]["nested"] = '{"a":[1,null,"ü"]}', "[]"
    assert multiset(target.read_rows() or []) == multiset(expected)


@WITH_EACH_FORMAT
def test_a_hundred_columns_arrive(target: Target) -> None:
    rows = [{f"column {i}": i * n if i % 3 else f"{i}-{n}" for i in range(100)} for n in range(50)]
    sync(target, rows[:30], rows[30:])
    assert multiset(target.read_rows() or []) == multiset(rows)


def test_readers_see_all_rows_of_one_publication(target: Target) -> None:
    sync(target, user_rows(0, 50, generation=0))
    seen_generations: list[set[Any]] = []
    seen_counts: list[int] = []
    end_reading = threading.Event()

    def read_until_done() -> None:
        while not end_reading.wait(0.001):
            rows = target.read_rows() or []
            seen_generations.append({int(row["generation"]) for row in rows})
            seen_counts.append(len(rows))

    reader = threading.Thread(target=read_until_done)
    reader.start()
    try:
        for generation in range(1, 6):
            job = SyncJob(target)
            job.write(user_rows(0, 25, generation=generation))
            job.write(user_rows(25, 50, generation=generation))
            job.publish()
            job.destination.close()
    finally:
        end_reading.set()
        reader.join()
    assert all(len(generations) == 1 for generations in seen_generations)
    assert set(seen_counts) == {50}


def test_a_check_leaves_no_rows_and_no_staging(target: Target) -> None:
    steps = list(target.make_destination(uuid4().hex).check())
    assert steps[-1].step == "write"
    assert all(step.ok and step.message and step.ms >= 0 for step in steps)
    assert not target.read_rows()
    assert target.count_staged() == 0
