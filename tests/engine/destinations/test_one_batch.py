"""A job whose only batch is staged by the transaction that also publishes it, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from apps.engine.contract import WriteMode
from apps.engine.destinations.postgres import connection
from apps.engine.failures import DestinationError, PositionGone
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import PostgresTarget, SyncJob, sync

Rows = list[dict[str, Any]]
EARLIER: Rows = [{"id": 1, "name": "before"}, {"id": 9, "name": "kept"}]


@pytest.fixture
def target(servers: Servers, tmp_path: Path) -> Iterator[PostgresTarget]:
    postgres_target = PostgresTarget(servers, tmp_path)
    yield postgres_target
    postgres_target.close()


def write_only_batch(job: SyncJob, rows: Rows) -> None:
    job.destination.is_only_batch = True
    job.write(rows)
    assert job.destination.holds_batch


@pytest.mark.parametrize(
    "rows",
    [
        [{"id": 1, "name": "a"}, {"id": 2, "name": None}],
        [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 1, "name": "c"}],
        [{"id": 1, "name": None}, {"id": 2, "name": None}],
        [{"id": 1}],
        [{"id": "A"}, {"id": "a"}],
        [{"id": 1.5, "name": "a"}, {"id": 1.5, "name": "b"}],
    ],
    ids=["unique", "repeated", "without values", "one column", "text", "numbers"],
)
@pytest.mark.parametrize(
    ("mode", "key"), [("replace", ()), ("replace", ("id",)), ("append", ()), ("merge", ("id",))]
)
@pytest.mark.parametrize("existing", [False, True])
def test_it_publishes_the_rows_of_a_job_that_stages_first(
    target: PostgresTarget, mode: WriteMode, key: tuple[str, ...], rows: Rows, existing: bool
) -> None:
    tables = []
    for holds in (False, True):
        target.query("DROP TABLE IF EXISTS {table}")
        if existing and isinstance(rows[0]["id"], int):
            sync(target, EARLIER)
        job = SyncJob(target, mode, key)
        if holds:
            write_only_batch(job, rows)
        else:
            job.write(rows)
        assert job.publish().rows == len(rows)
        job.destination.close()
        tables.append(multiset(target.read_rows() or []))
    assert tables[0] == tables[1]


def test_readers_see_nothing_before_it_is_published(target: PostgresTarget) -> None:
    sync(target, EARLIER)
    job = SyncJob(target)
    write_only_batch(job, [{"id": 2, "name": "new"}])
    assert multiset(target.read_rows() or []) == multiset(EARLIER)
    assert job.publish().rows == 1
    assert multiset(target.read_rows() or []) == multiset([{"id": 2, "name": "new"}])


def test_an_attempt_that_ends_before_it_is_published_leaves_nothing_and_the_job_is_read_again(
    target: PostgresTarget,
) -> None:
    sync(target, EARLIER)
    job = SyncJob(target, "append")
    write_only_batch(job, [{"id": 2, "name": "new"}])
    job.destination.close()
    with pytest.raises(PositionGone):
        job.start_attempt()
    assert multiset(target.read_rows() or []) == multiset(EARLIER)


def test_another_attempt_waits_for_the_transaction_and_does_not_publish_it_again(
    target: PostgresTarget,
) -> None:
    job = SyncJob(target, "append")
    write_only_batch(job, EARLIER)
    first = job.destination
    with ThreadPoolExecutor() as pool:
        second = pool.submit(job.start_attempt)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.3)
        assert first.publish(tuple(job.committed)).rows == 2
        published_before = second.result(timeout=20)
        assert published_before.publish(tuple(job.committed)).rows == 2
        published_before.delete_older_publications()
    assert multiset(target.read_rows() or []) == multiset(EARLIER)


def test_a_frozen_attempt_publishes_nothing_after_another_attempt_has_begun(
    target: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL ends the idle transaction, for which the other attempt has waited."""
    monkeypatch.setattr(connection, "IDLE_TRANSACTION_TIMEOUT", "1s")
    job = SyncJob(target, "append")
    write_only_batch(job, EARLIER)
    frozen = job.destination
    with pytest.raises(PositionGone):
        job.start_attempt()
    with pytest.raises(DestinationError):
        frozen.publish(tuple(job.committed))
    sync(target, EARLIER, mode="append")
    assert multiset(target.read_rows() or []) == multiset(EARLIER)


def test_removing_a_job_waits_for_its_transaction(
    target: PostgresTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IDLE_TRANSACTION_TIMEOUT", "1s")
    job = SyncJob(target, "append")
    write_only_batch(job, EARLIER)
    target.make_destination(job.job_id, "append").abandon()
    with pytest.raises(DestinationError):
        job.publish()
    assert not target.read_rows()
