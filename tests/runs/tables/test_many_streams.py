"""A pipeline with several streams: one run reads them side by side, and each stream has its own state and failure."""

from __future__ import annotations

import os
import signal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from apps.engine.contract import (
    Event,
    Failed,
    Outcome,
    RunSpec,
    Started,
    StopReason,
    Succeeded,
)
from apps.engine.failures import FailureClass
from apps.engine.process.stream_series import StreamSeries
from apps.pipelines.models import Pipeline
from apps.runs.attempts import children
from apps.runs.attempts.recorder import Recorder
from apps.runs.execute import Worker
from apps.runs.models import Run
from local.database.postgres import ADMINISTRATOR, EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.runs.processes import start_run
from tests.runs.stream_actions import call_before_streams
from tests.world import World, make_connector, make_pipeline, make_world

TABLES = ("customers", "orders", "items", "places", "visits")
RUNS = "/api/v1/runs"


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


class Shop:
    """A source database with five tables, and a pipeline that copies all of them."""

    def __init__(self, world: World, source: SourceDatabase, server: EmbeddedPostgres) -> None:
        self.world, self.source = world, source
        name = source.config["database"]
        self._target_url = server.url(name)
        settings = {
            "host": "127.0.0.1",
            "port": server.port,
            "database": name,
            "user": ADMINISTRATOR,
            "password": server.password,
            "schema": "arrived",
        }
        source.execute(
            "DROP SCHEMA IF EXISTS arrived CASCADE", "DROP SCHEMA IF EXISTS shop CASCADE"
        )
        source.execute(
            "CREATE SCHEMA shop", f"GRANT USAGE ON SCHEMA shop TO {source.config['user']}"
        )
        for number, table in enumerate(TABLES, 1):
            self.create_table(table, rows=100 * number)
        self.destination = make_connector(
            world, role="destination", kind="postgres", config=settings
        )

    def create_table(self, table: str, *, rows: int) -> None:
        self.source.execute(
            f"CREATE TABLE shop.{table} AS SELECT n AS id, 'row ' || n AS text FROM generate_series(1, {rows}) n",
            f"ALTER TABLE shop.{table} ADD PRIMARY KEY (id)",
            f"GRANT SELECT ON shop.{table} TO {self.source.config['user']}",
        )

    def create_pipeline(self, **stream_settings: Any) -> Pipeline:
        pipeline: Pipeline = make_pipeline(
            self.world,
            config={
                "source": {
                    "kind": "postgres",
                    "config": {**self.source.config, "schemas": ["shop"], "page_size": 100},
                },
                "streams": [
                    {"stream": f"shop.{table}", "primary_key": ["id"], **stream_settings}
                    for table in TABLES
                ],
                "destination": {"connector_id": str(self.destination.pk)},
            },
        )
        return pipeline

    def arrived(self, table: str) -> int | None:
        """Return the number of rows that have arrived, or None if the table does not exist."""
        with psycopg.connect(self._target_url) as connection:
            query = "SELECT to_regclass(%s)"
            if connection.execute(query, [f"arrived.shop_{table}"]).fetchone() == (None,):
                return None
            row = connection.execute(f"SELECT count(*) FROM arrived.shop_{table}").fetchone()
        assert row is not None
        return int(row[0])

    def streams_of(self, run_id: UUID) -> dict[str, dict[str, Any]]:
        answer = self.world.client("viewer").get(f"{RUNS}/{run_id}/streams")
        assert answer.status_code == 200
        return {row["stream"]: row for row in answer.json()["results"]}

    def run(self, run_id: UUID) -> dict[str, Any]:
        run: dict[str, Any] = self.world.client().get(f"{RUNS}/{run_id}").json()
        return run


def pipeline_url(pipeline: Pipeline) -> str:
    return f"/api/v1/pipelines/{pipeline.pk}"


@pytest.fixture
def shop(acme: World, database: SourceDatabase, engine_postgres: EmbeddedPostgres) -> Shop:
    return Shop(acme, database, engine_postgres)


def test_one_run_moves_all_streams_and_shows_each(shop: Shop, this_worker: Worker) -> None:
    run_id = run_pipeline(this_worker, shop.world, shop.create_pipeline())

    assert [shop.arrived(table) for table in TABLES] == [100, 200, 300, 400, 500]
    streams = shop.streams_of(run_id)
    assert [row["written"] for row in streams.values()] == [100, 200, 300, 400, 500]
    assert {row["status"] for row in streams.values()} == {"succeeded"}
    assert streams["shop.orders"]["table"] == "shop_orders"
    run = shop.run(run_id)
    counts = [run[f"streams_{name}"] for name in ("total", "succeeded", "failed")]
    assert (counts, run["progress"]["read"], run["progress"]["written"]) == ([5, 5, 0], 1500, 1500)


def test_a_stream_that_fails_does_not_stop_the_others_and_only_it_is_retried(
    shop: Shop, this_worker: Worker
) -> None:
    pipeline = shop.create_pipeline()
    shop.source.execute("ALTER TABLE shop.items RENAME TO hidden")
    run_id = start_run(shop.world, pipeline)
    work_until_idle(this_worker)

    run, streams = shop.run(run_id), shop.streams_of(run_id)
    assert (run["status"], run["streams_failed"], run["streams_succeeded"]) == ("failed", 1, 4)
    assert run["failure"]["message"].startswith("1 stream of 5 failed. shop.items: ")
    assert [shop.arrived(table) for table in TABLES] == [100, 200, None, 400, 500]
    assert streams["shop.items"]["failure"]["class"] == "configuration"
    first_end = streams["shop.orders"]["finished_at"]

    shop.source.execute("ALTER TABLE shop.hidden RENAME TO items", "TRUNCATE shop.orders")
    assert shop.world.client().post(f"{RUNS}/{run_id}/retry").status_code == 200
    assert shop.run(run_id)["streams_failed"] == 0
    work_until_idle(this_worker)
    run, streams = shop.run(run_id), shop.streams_of(run_id)
    assert (run["status"], run["streams_failed"], run["streams_succeeded"]) == ("succeeded", 0, 5)
    assert run["failure"] is None
    assert (shop.arrived("items"), shop.arrived("orders")) == (300, 200)
    assert streams["shop.orders"]["finished_at"] == first_end, "a finished stream was run again"
    assert streams["shop.items"]["failure"] is None
    assert run["progress"]["written"] == 1500


@pytest.mark.parametrize("begins_together", [1, 4])
def test_a_pipeline_may_stop_when_a_stream_fails_and_a_retry_reads_the_rest(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch, begins_together: int
) -> None:
    """The third stream fails. Those that have begun are finished, and the others are not begun."""
    monkeypatch.setattr(children, "STREAMS_AT_ONCE", begins_together)
    pipeline = shop.create_pipeline()
    stop = {"config": {"on_stream_failure": "stop", "snapshot": {"scope": "stream"}}}
    assert shop.world.client().patch(pipeline_url(pipeline), stop).status_code == 200
    shop.source.execute("ALTER TABLE shop.items RENAME TO hidden")
    run_id = start_run(shop.world, pipeline)
    work_until_idle(this_worker)

    run, streams = shop.run(run_id), shop.streams_of(run_id)
    assert (run["status"], run["streams_failed"]) == ("failed", 1)
    assert streams["shop.items"]["failure"]["class"] == "configuration"
    not_begun = [row for row in streams.values() if row["status"] == "cancelled"]
    assert all(row["started_at"] is None and row["failure"] is None for row in not_begun)
    if begins_together == 1:
        assert [row["stream"] for row in not_begun] == ["shop.places", "shop.visits"]
        assert "stops when a stream fails: 2 of" in run["failure"]["evidence"][0]
        assert [shop.arrived(table) for table in TABLES] == [100, 200, None, None, None]
    first_end = streams["shop.orders"]["finished_at"]

    shop.source.execute("ALTER TABLE shop.hidden RENAME TO items")
    assert shop.world.client().post(f"{RUNS}/{run_id}/retry").status_code == 200
    work_until_idle(this_worker)
    assert shop.run(run_id)["streams_succeeded"] == 5
    assert [shop.arrived(table) for table in TABLES] == [100, 200, 300, 400, 500]
    assert shop.streams_of(run_id)["shop.orders"]["finished_at"] == first_end


def test_a_stream_whose_child_is_killed_is_finished_by_the_next_attempt(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    run_child = StreamSeries.run

    def run_and_kill(
        series: StreamSeries, spec: RunSpec, *, on_event: Any, should_stop: Any
    ) -> Outcome:
        """Kill the child of one stream after its start, once."""

        def kill_at_start(event: Event) -> None:
            on_event(event)
            if spec.source.stream == "shop.places" and isinstance(event, Started) and not killed:
                killed.append(event.pid)
                os.kill(event.pid, signal.SIGKILL)

        return run_child(series, spec, on_event=kill_at_start, should_stop=should_stop)

    monkeypatch.setattr(StreamSeries, "run", run_and_kill)
    run_id = start_run(shop.world, shop.create_pipeline())
    work_until_idle(this_worker)
    assert len(killed) == 1, "the child was not killed"
    run, before = shop.run(run_id), shop.streams_of(run_id)
    assert (run["status"], run["failure"]["class"]) == ("pending", "crashed")
    assert [row["status"] for row in before.values()].count("succeeded") == 4

    with shop.world.scope():
        Run.objects.for_org(shop.world.org).update(not_before=None)
    work_until_idle(this_worker)
    after = shop.streams_of(run_id)
    assert shop.run(run_id)["status"] == "succeeded"
    assert [shop.arrived(table) for table in TABLES] == [100, 200, 300, 400, 500]
    unchanged = {name for name in after if after[name] == before[name]}
    assert unchanged == set(after) - {"shop.places"}


def test_incremental_streams_have_their_own_cursors_and_can_be_reset_one_by_one(
    shop: Shop, this_worker: Worker
) -> None:
    pipeline = shop.create_pipeline(sync_mode="incremental", cursor_field="id", write_mode="merge")
    run_pipeline(this_worker, shop.world, pipeline)
    shop.source.execute("INSERT INTO shop.items VALUES (301, 'new')")
    run_id = run_pipeline(this_worker, shop.world, pipeline)

    streams = shop.streams_of(run_id)
    assert {name: row["read"] for name, row in streams.items() if row["read"]} == {"shop.items": 1}
    items = streams["shop.items"]
    assert items["cursor_before"] != items["cursor_after"]
    assert "301" in str(items["cursor_after"])

    url = f"/api/v1/pipelines/{pipeline.pk}/state"
    client = shop.world.client()
    assert client.post(f"{url}/reset", {"stream": "shop.nothing"}).status_code == 422
    assert client.put(url, {"state": {"id": 1}}).status_code == 422, "it names no stream"
    assert client.post(f"{url}/reset", {"stream": "shop.visits"}).status_code == 200
    run_id = run_pipeline(this_worker, shop.world, pipeline)
    reads = {name: row["read"] for name, row in shop.streams_of(run_id).items() if row["read"]}
    assert reads == {"shop.visits": 500}
    assert shop.arrived("visits") == 500
    assert len(client.get(url).json()["streams"]) == 5


def test_a_stream_that_comes_back_to_its_table_does_not_continue_after_another_stream(
    shop: Shop, this_worker: Worker
) -> None:
    """The table has the rows of the other stream by then, so the old cursor says nothing about it."""
    pipeline = shop.create_pipeline()
    url = f"/api/v1/pipelines/{pipeline.pk}"
    client = shop.world.client()

    def read(table: str) -> None:
        stream = {
            "stream": f"shop.{table}",
            "table": "shop_one",
            "sync_mode": "incremental",
            "cursor_field": "id",
            "primary_key": ["id"],
            "write_mode": "merge",
        }
        assert client.patch(url, {"config": {"streams": [stream]}}).status_code == 200
        run_pipeline(this_worker, shop.world, pipeline)

    for table in ("customers", "visits", "customers"):
        read(table)
    assert shop.arrived("one") == 100


def test_a_stranger_cannot_see_the_streams_of_a_run(shop: Shop, this_worker: Worker) -> None:
    run_id = run_pipeline(this_worker, shop.world, shop.create_pipeline())
    answer = make_world("Other").client("owner").get(f"{RUNS}/{run_id}/streams")
    assert answer.status_code == 404


def test_the_page_of_streams_can_be_filtered_by_status(shop: Shop, this_worker: Worker) -> None:
    run_id = run_pipeline(this_worker, shop.world, shop.create_pipeline())
    client = shop.world.client("viewer")
    failed = client.get(f"{RUNS}/{run_id}/streams", {"status": "failed"}).json()
    assert (failed["results"], failed["count"], failed["next_offset"]) == ([], 0, None)
    assert [moment["streams"] for moment in failed["moments"]] == [5], "of all streams"
    assert client.get(f"{RUNS}/{run_id}/streams", {"offset": 4}).json()["count"] == 5


def test_streams_that_write_one_duckdb_file_wait_for_each_other(
    shop: Shop, this_worker: Worker
) -> None:
    """The settings allow no wait for other programs, but the streams of one run must not fail because of each other."""
    source = {"kind": "postgres", "config": {**shop.source.config, "schemas": ["shop"]}}
    pipeline = make_pipeline(
        shop.world,
        config={
            "source": source,
            "streams": [{"stream": f"shop.{table}"} for table in TABLES],
            "destination": {"kind": "duckdb", "config": {"lock_timeout": 0}},
        },
    )
    run_id = run_pipeline(this_worker, shop.world, pipeline)
    assert [row["written"] for row in shop.streams_of(run_id).values()] == [100, 200, 300, 400, 500]
    outputs = shop.world.client().get(f"{RUNS}/{run_id}/outputs").json()["results"]
    assert [(row["name"], row["rows"]) for row in outputs] == [("warehouse.duckdb", 1500)]


def test_a_cancelled_run_has_no_failed_streams(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start_run(shop.world, shop.create_pipeline())

    def cancel_after_first(spec: RunSpec) -> Outcome | None:
        """Let the first stream end, and the others fail as streams do that have to stop."""
        if spec.source.stream == "shop.customers":
            return None
        with shop.world.scope():
            Run.objects.for_org(shop.world.org).update(cancel_requested_at=timezone.now())
        connection.close()  # of this thread
        return Failed(FailureClass.CANCELLED, "stopped")

    call_before_streams(monkeypatch, cancel_after_first)
    work_until_idle(this_worker)
    run = shop.run(run_id)
    assert (run["status"], run["streams_total"], run["streams_failed"]) == ("cancelled", 5, 0)
    assert "failed" not in {row["status"] for row in shop.streams_of(run_id).values()}


def test_streams_that_have_not_begun_when_a_run_is_cancelled_are_not_begun(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To begin and end a thousand streams would take longer than a worker has for a cancellation."""
    run_id = start_run(shop.world, shop.create_pipeline())

    def cancel(spec: RunSpec) -> Outcome | None:
        monkeypatch.setattr(Recorder, "stop_reason", lambda self: "cancelled")
        return Failed(FailureClass.CANCELLED, "stopped")

    monkeypatch.setattr(children, "STREAMS_AT_ONCE", 1)
    call_before_streams(monkeypatch, cancel)
    work_until_idle(this_worker)
    run, streams = shop.run(run_id), list(shop.streams_of(run_id).values())
    assert (run["status"], run["streams_failed"]) == ("cancelled", 0)
    assert {row["status"] for row in streams} == {"cancelled"}
    assert [row["started_at"] is not None for row in streams] == [True, *[False] * 4]
    log = shop.world.client().get(f"{RUNS}/{run_id}/logs").json()["lines"]
    assert log[-1]["message"] == "Stopped: The run was cancelled."


@pytest.mark.parametrize("first", [0, 2])
def test_a_run_that_has_to_stop_before_a_stream_begins_does_not_succeed(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """The worker stops after the first streams have succeeded, or before any stream begins."""
    asked = []
    stop_reason = Recorder.stop_reason

    def stop_later(recorder: Recorder) -> StopReason | None:
        asked.append(1)
        return "timeout" if len(asked) > first else stop_reason(recorder)

    monkeypatch.setattr(children, "STREAMS_AT_ONCE", 1)
    call_before_streams(monkeypatch, lambda spec: Succeeded(1, 1, 0, 0))
    monkeypatch.setattr(Recorder, "stop_reason", stop_later)
    pipeline = shop.create_pipeline()
    # Nobody asks for the stop reason while a snapshot is taken.
    snapshot = {"config": {"snapshot": {"scope": "stream"}}}
    assert (
        shop.world.client().patch(f"/api/v1/pipelines/{pipeline.pk}", snapshot).status_code == 200
    )
    run_id = start_run(shop.world, pipeline)
    work_until_idle(this_worker)
    run, streams = shop.run(run_id), shop.streams_of(run_id)
    assert (run["status"], run["failure"]["class"]) == ("failed", "timeout")
    assert (run["streams_succeeded"], run["streams_failed"]) == (first, 5 - first)
    assert list(streams.values())[-1]["failure"]["class"] == "timeout"
