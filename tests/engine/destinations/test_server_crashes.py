"""The server of the destination crashes, and loses what it has not written to its disk. The next attempt reads it again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from apps.engine.failures import DestinationError, PositionGone
from local.database.postgres import EmbeddedPostgres, temporary_postgres
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import PostgresTarget, SyncJob, sync

EARLIER = [{"id": 1, "name": "Ada"}]
BATCHES = [[{"id": 2, "name": "Grace"}], [{"id": 3, "name": "Edsger"}]]


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server


@pytest.fixture
def target(server: EmbeddedPostgres, tmp_path: Path) -> PostgresTarget:
    servers = Servers()
    servers.__dict__["postgres_url"] = server.url()
    return PostgresTarget(servers, tmp_path)


def stop_writing(server: EmbeddedPostgres) -> int:
    """Stop the process that writes the log of transactions in the background, and return its process id."""
    with psycopg.connect(server.url()) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
        ).fetchone()
    assert row is not None
    os.kill(row[0], signal.SIGSTOP)
    return int(row[0])


def crash(server: EmbeddedPostgres, log_writer: int) -> None:
    """Kill the server, so that what it has not written is lost, and start it again."""
    assert server.process is not None
    server.process.kill()
    os.kill(log_writer, signal.SIGKILL)
    server.process.wait(10)
    server.start()


def write_and_crash(server: EmbeddedPostgres, target: PostgresTarget) -> SyncJob:
    sync(target, EARLIER, mode="append")
    job = SyncJob(target, "append")
    log_writer = stop_writing(server)
    for batch in BATCHES:
        job.write(batch)
    crash(server, log_writer)
    staged = target.query("SELECT count(*) AS batches FROM {schema}._drover_batches")
    assert staged == [{"batches": 0}], "no batch was lost"
    return job


def test_batches_that_a_crash_of_the_server_has_lost_are_read_again(
    server: EmbeddedPostgres, target: PostgresTarget
) -> None:
    job = write_and_crash(server, target)
    with pytest.raises(PositionGone):
        job.start_attempt()
    sync(target, *BATCHES, mode="append")
    expected = [*EARLIER, *BATCHES[0], *BATCHES[1]]
    assert multiset(target.query("SELECT id, name FROM {table}")) == multiset(expected)


def test_an_attempt_that_goes_on_after_a_crash_of_the_server_publishes_nothing(
    server: EmbeddedPostgres, target: PostgresTarget
) -> None:
    job = write_and_crash(server, target)
    with pytest.raises(DestinationError):
        job.write([{"id": 4, "name": "Barbara"}])
    with pytest.raises(DestinationError) as failure:
        job.publish()
    assert failure.value.retryable
    assert multiset(target.query("SELECT id, name FROM {table}")) == multiset(EARLIER)


def test_a_published_job_outlives_a_crash_of_the_server(
    server: EmbeddedPostgres, target: PostgresTarget
) -> None:
    job = SyncJob(target, "append")
    log_writer = stop_writing(server)
    for batch in BATCHES:
        job.write(batch)
    assert job.publish().rows == 2
    crash(server, log_writer)
    assert multiset(target.query("SELECT id, name FROM {table}")) == multiset(
        [*BATCHES[0], *BATCHES[1]]
    )
