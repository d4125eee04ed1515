"""The contract of destinations, tested with every destination."""

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
from tests.engine.destinations.spelling import bag
from tests.engine.destinations.targets import TARGETS, Sync, Target, sync

# For tests of file formats: Parquet in a bucket is the same as in a folder.
EACH_FORMAT = pytest.mark.parametrize(
    "target",
    [pytest.param(name, marks=[pytest.mark.long] * (" on " in name)) for name in TARGETS],
    indirect=True,
)


def numbered(start: int, stop: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": i, "name": f"user {i}", **more} for i in range(start, stop)]


def test_replace_shows_the_new_rows_and_none_of_the_old(target: Target) -> None:
    assert not target.rows()
    assert sync(target, numbered(0, 5), numbered(5, 9)).rows == 9
    assert bag(target.rows() or []) == bag(numbered(0, 9))
    assert sync(target, numbered(100, 103)).rows == 3
    assert bag(target.rows() or []) == bag(numbered(100, 103))


def test_append_keeps_what_is_there(target: Target) -> None:
    sync(target, numbered(0, 5), mode="append")
    assert sync(target, numbered(3, 8), mode="append").rows == 5
    assert bag(target.rows() or []) == bag(numbered(0, 5) + numbered(3, 8))


def test_nothing_staged_is_visible_before_publishing(target: Target) -> None:
    sync(target, numbered(0, 2))
    job = Sync(target)
    job.write(numbered(10, 20))
    assert bag(target.rows() or []) == bag(numbered(0, 2))
    job.publish()
    assert bag(target.rows() or []) == bag(numbered(10, 20))
    assert target.staged() == 0


def test_publishing_twice_changes_nothing_and_answers_the_same(target: Target) -> None:
    job = Sync(target, "append")
    job.write(numbered(0, 4))
    first = job.publish()
    assert job.publish() == first
    job.attempt()
    assert job.publish() == first
    assert bag(target.rows() or []) == bag(numbered(0, 4))


def test_a_late_second_publish_of_an_older_job_changes_nothing(target: Target) -> None:
    older = Sync(target)
    older.write(numbered(0, 4))
    rows = older.publish().rows
    sync(target, numbered(50, 60))
    older.attempt()
    assert older.publish().rows == rows
    assert bag(target.rows() or []) == bag(numbered(50, 60))


@pytest.mark.parametrize("rows", [numbered(0, 4), []], ids=["rows", "empty"])
def test_a_publisher_that_froze_until_its_job_was_forgotten_changes_nothing(
    target: Target, rows: list[dict[str, Any]]
) -> None:
    sync(target, numbered(90, 92))
    older = Sync(target)
    if rows:
        older.write(rows)
    frozen = older.destination
    older.attempt()
    older.publish()
    newer = Sync(target)
    newer.write(numbered(50, 60))
    newer.publish()
    newer.destination.forget_older()
    with contextlib.suppress(DestinationError):
        frozen.publish(tuple(older.committed))
    assert bag(target.rows() or []) == bag(numbered(50, 60))


def test_a_batch_that_was_never_committed_is_never_published(target: Target) -> None:
    job = Sync(target, "append")
    job.write(numbered(0, 3))
    job.stage(numbered(3, 6))  # the process dies before the commit
    job.attempt()
    job.write(numbered(3, 6))
    job.publish()
    assert bag(target.rows() or []) == bag(numbered(0, 6))


def test_a_late_writer_of_a_lost_lease_publishes_nothing(target: Target) -> None:
    job = Sync(target, "append")
    job.write(numbered(0, 3))
    frozen = job.destination
    job.attempt()
    frame = job.schema.decode(numbered(900, 905)).frame
    frozen.stage(frame, Batch(uuid4().hex, 1, 1, 5))  # resumes after the new attempt has opened
    job.write(numbered(3, 6))
    frozen.stage(frame, Batch(uuid4().hex, 2, 2, 5))
    assert job.publish().rows == 6
    assert bag(target.rows() or []) == bag(numbered(0, 6))


def test_the_crash_tests_would_notice_a_batch_published_twice(target: Target) -> None:
    """The negative control of the two tests above: committing the missing step makes a difference."""
    job = Sync(target, "append")
    job.write(numbered(0, 3))
    late = job.stage(numbered(3, 6))
    job.committed.append(late)
    job.write(numbered(3, 6))
    job.publish()
    assert bag(target.rows() or []) == bag(numbered(0, 3) + 2 * numbered(3, 6))


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_staged_and_committed_batches_survive_a_restart(target: Target, mode: Any) -> None:
    sync(target, numbered(0, 2), mode=mode)
    job = Sync(target, mode)
    for start in (10, 20, 30):
        job.write(numbered(start, start + 5))
        job.attempt()
    assert job.publish().rows == 15
    expected = numbered(10, 15) + numbered(20, 25) + numbered(30, 35)
    assert bag(target.rows() or []) == bag(expected + (numbered(0, 2) if mode == "append" else []))


def test_abandoning_removes_all_staging_and_leaves_what_is_visible(target: Target) -> None:
    sync(target, numbered(0, 2))
    job = Sync(target)
    job.write(numbered(5, 9))
    assert target.staged() > 0
    job.destination.abandon()
    job.destination.abandon()
    assert target.staged() == 0
    assert bag(target.rows() or []) == bag(numbered(0, 2))


def test_an_empty_result_replaces_and_appends_nothing(target: Target) -> None:
    sync(target, numbered(0, 2))
    assert sync(target, mode="append").rows == 0
    assert bag(target.rows() or []) == bag(numbered(0, 2))
    assert sync(target).rows == 0
    assert target.rows() == []


@EACH_FORMAT
def test_batches_without_rows_or_columns_are_harmless(target: Target) -> None:
    job = Sync(target)
    job.write(pl.DataFrame())
    job.write(pl.DataFrame({"id": []}, schema={"id": pl.Int64}))
    job.write(numbered(0, 2))
    job.write(pl.DataFrame())
    job.attempt()
    assert job.publish().rows == 2
    assert bag(target.rows() or []) == bag(numbered(0, 2))


@EACH_FORMAT
def test_a_new_column_and_wider_types_in_the_middle_of_a_sync(target: Target) -> None:
    first: list[dict[str, Any]] = [
        {"id": 1, "x": 1, "gone": "a", "empty": None},
        {"id": 2, "x": 2, "gone": "b"},
    ]
    second: list[dict[str, Any]] = [{"id": 3, "x": 2.5, "new": True}, {"id": 4, "x": 7}]
    third: list[dict[str, Any]] = [{"id": 5, "x": "text", "empty": 12}]
    sync(target, first, second, third)
    assert bag(target.rows() or []) == bag(
        [
            {"id": 1, "x": "1", "gone": "a"},
            {"id": 2, "x": "2", "gone": "b"},
            {"id": 3, "x": "2.5", "new": True},
            {"id": 4, "x": "7"},
            {"id": 5, "x": "text", "empty": 12},
        ]
    )


@EACH_FORMAT
def test_appending_widens_what_is_there(target: Target) -> None:
    sync(target, [{"id": 1, "x": 5, "big": 2**60, "y": None}], mode="append")
    sync(target, [{"id": 2, "x": 1.5, "big": 0.5, "y": 3, "z": date(2024, 1, 2)}], mode="append")
    sync(target, [{"id": "three", "x": None}], mode="append")
    assert bag(target.rows() or []) == bag(
        [
            {"id": 1, "x": 5, "big": 2**60},
            {"id": 2, "x": 1.5, "big": 0.5, "y": 3, "z": date(2024, 1, 2)},
            {"id": "three"},
        ]
    )


ODD_TEXTS = [
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


@EACH_FORMAT
def test_odd_text_arrives_as_it_was(target: Target) -> None:
    rows = [{"id": i, "text": text} for i, text in enumerate(ODD_TEXTS)]
    sync(target, rows)
    assert bag(target.rows() or []) == bag(rows)


@EACH_FORMAT
def test_odd_column_names_arrive(target: Target) -> None:
    row = {'na"me': 1, "with, comma": 2, "naïve 😀": 3, "select": 4, "a'b": 5, "%s": 6, "{}": 7}
    sync(target, [row])
    assert bag(target.rows() or []) == bag([row])


@EACH_FORMAT
def test_every_type_of_value_arrives(target: Target) -> None:
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
    assert bag(target.rows() or []) == bag(expected)


@EACH_FORMAT
def test_a_hundred_columns(target: Target) -> None:
    rows = [{f"column {i}": i * n if i % 3 else f"{i}-{n}" for i in range(100)} for n in range(50)]
    sync(target, rows[:30], rows[30:])
    assert bag(target.rows() or []) == bag(rows)


def test_readers_see_all_or_nothing(target: Target) -> None:
    sync(target, numbered(0, 50, generation=0))
    seen: list[set[Any]] = []
    counts: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.001):
            rows = target.rows() or []
            seen.append({int(row["generation"]) for row in rows})
            counts.append(len(rows))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for generation in range(1, 6):
            job = Sync(target)
            job.write(numbered(0, 25, generation=generation))
            job.write(numbered(25, 50, generation=generation))
            job.publish()
            job.destination.close()
    finally:
        done.set()
        reader.join()
    assert all(len(generations) == 1 for generations in seen)
    assert set(counts) == {50}


def test_checking_writes_and_leaves_nothing(target: Target) -> None:
    steps = list(target.make(uuid4().hex).check())
    assert steps[-1].step == "write"
    assert all(step.ok and step.message and step.ms >= 0 for step in steps)
    assert not target.rows()
    assert target.staged() == 0
