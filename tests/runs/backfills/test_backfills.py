"""A backfill reads a window of a stream again in chunks, and neither reads nor moves the saved position."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django import Settings

from apps.orgs.models import AuditEvent
from apps.pipelines.models import Misfire, Overlap, Pipeline
from apps.runs import scheduling
from apps.runs.backfills import chunks
from apps.runs.execute import Worker
from apps.runs.keeping import retention
from apps.runs.models import Run
from local.database.postgres import EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.backfills.events import ROW_COUNT, Events, path_of
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.claiming.test_scheduling import create_schedule
from tests.world import World, make_world

MERGE: dict[str, Any] = {"write_mode": "merge", "primary_key": ["id"]}
APPEND: dict[str, Any] = {"write_mode": "append"}
JANUARY_2: dict[str, Any] = {"start": "2026-01-02", "end": "2026-01-03"}
ON_JANUARY_2 = "\"at\" >= '2026-01-02 00:00+00' AND \"at\" < '2026-01-03 00:00+00'"
NOT_ON_JANUARY_2 = f"NOT ({ON_JANUARY_2})"


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True
    settings.RUN_RETRY_WAIT = timedelta(0)


@pytest.fixture
def events(acme: World, database: SourceDatabase, engine_postgres: EmbeddedPostgres) -> Events:
    return Events(acme, database, engine_postgres)


@pytest.mark.sample(2)
@pytest.mark.parametrize("stream", [MERGE, APPEND], ids=["merge", "append"])
def test_a_backfill_from_the_start_brings_all_changes_in_chunks_and_the_next_run_goes_on(
    events: Events, this_worker: Worker, stream: dict[str, Any]
) -> None:
    pipeline = events.create_pipeline(**stream)
    events.run(this_worker, pipeline)
    position = events.position(pipeline)
    events.change_behind_the_position()

    backfill = events.backfill(pipeline, rows_per_chunk=1_000)
    assert (backfill["chunks"], backfill["from"]) == (5, None)
    ended = events.finish(this_worker, pipeline, backfill)

    assert (ended["status"], ended["chunks_done"]) == ("succeeded", 5), ended
    # The row at the saved position is not in the window, which ends before it.
    assert ended["rows_read"] == ended["rows_written"] == ROW_COUNT - 1
    in_window = f"id NOT IN ({ROW_COUNT}, 77)"
    assert events.arrived(in_window) == events.expected(in_window)
    if stream is APPEND:
        assert events.arrived("id = 77") == [], "a replaced window has no deleted rows"
    assert events.position(pipeline) == position
    changes = events.world.client().get(f"/api/v1/pipelines/{pipeline.pk}/state/history").json()
    assert [change["cause"] for change in changes["results"]] == ["run"]

    events.source.execute("INSERT INTO shop.events VALUES (90002, 'new', '2026-02-01 00:00+00')")
    run_id = events.run(this_worker, pipeline)
    run = events.world.client().get(f"/api/v1/runs/{run_id}").json()
    assert run["progress"]["written"] == 1, "the run continues from the saved position"
    assert len(events.arrived("id <> 77")) == len(events.expected())


@pytest.mark.long
def test_a_stream_that_patterns_have_chosen_is_backfilled_until_it_is_ignored(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline_with_patterns(write_mode="append")
    run_id = events.run(this_worker, pipeline)
    events.change_behind_the_position()
    client, path = events.world.client(), f"/api/v1/pipelines/{pipeline.pk}"
    (offered,) = client.get(path_of(pipeline)).json()["streams"]
    assert (offered["stream"], offered["window_mode"]) == ("shop.events", "replace")

    backfill = events.backfill(
        pipeline, start="2026-01-02", end="2026-01-03", rows_per_chunk=100_000
    )
    assert events.finish(this_worker, pipeline, backfill)["status"] == "succeeded"
    assert events.arrived(ON_JANUARY_2) == events.expected(ON_JANUARY_2)
    last_run = client.get(path).json()["last_run"]
    assert (last_run["id"], last_run["status"]) == (str(run_id), "succeeded"), "no chunk"
    assert last_run["records"] == ROW_COUNT

    backfill = events.backfill(
        pipeline, start="2026-01-02", end="2026-01-03", rows_per_chunk=100_000
    )
    body = {"decision": "ignore", "streams": ["shop.events"]}
    assert client.post(f"{path}/streams/decide", body).status_code == 200
    ended = events.finish(this_worker, pipeline, backfill)
    assert (ended["status"], ended["failure_message"]) == ("failed", chunks.SETTINGS_CHANGED)


@pytest.mark.sample(2)
@pytest.mark.parametrize("stream", [MERGE, APPEND], ids=["merge", "append"])
def test_a_backfill_changes_only_the_rows_of_its_window(
    events: Events, this_worker: Worker, stream: dict[str, Any]
) -> None:
    pipeline = events.create_pipeline(**stream)
    run_id = events.run(this_worker, pipeline)
    before = events.arrived(NOT_ON_JANUARY_2)
    events.change_behind_the_position()

    backfill = events.backfill(pipeline, **JANUARY_2)
    assert backfill["from"] == "2026-01-02 00:00:00+00"
    assert backfill["to"] == "2026-01-03 00:00:00+00"
    assert (backfill["rows_expected"], backfill["rows_counted"]) == (1_441, True)
    ended = events.finish(this_worker, pipeline, backfill)

    assert (ended["status"], ended["rows_read"]) == ("succeeded", 1_441)
    assert events.arrived(ON_JANUARY_2) == events.expected(ON_JANUARY_2)
    assert events.arrived(NOT_ON_JANUARY_2) == before
    last_run = events.world.client().get(f"/api/v1/pipelines/{pipeline.pk}").json()["last_run"]
    assert (last_run["id"], last_run["records"]) == (str(run_id), ROW_COUNT), "not a chunk"


def test_the_list_tells_a_chunk_of_a_backfill_from_an_ordinary_run(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)
    client = events.world.client("viewer")

    def last_run() -> Any:
        (row,) = client.get("/api/v1/pipelines").json()["results"]
        return row["last_run"]

    assert (last_run()["kind"], last_run()["status"]) == ("ordinary", "succeeded")
    events.backfill(pipeline, **JANUARY_2)
    assert chunks.start_due() == 1
    assert (last_run()["kind"], last_run()["status"]) == ("backfill", "pending")
    run_id = last_run()["id"]
    for answer in (client.get(f"/api/v1/runs/{run_id}").json(), _only_waiting_run(client)):
        assert (answer["kind"], answer["trigger"]) == ("backfill", "backfill")
    cancelled = events.world.client().post(f"/api/v1/runs/{run_id}/cancel", {})
    assert cancelled.json()["status"] == "cancelled"
    assert (last_run()["kind"], last_run()["status"]) == ("ordinary", "succeeded")
    retried = events.world.client().post(f"/api/v1/runs/{run_id}/retry", {}).json()
    assert (retried["kind"], retried["trigger"]) == ("backfill", "retry")
    assert (last_run()["kind"], last_run()["status"]) == ("backfill", "pending")


def _only_waiting_run(client: Any) -> Any:
    (run,) = client.get("/api/v1/runs", {"status": "pending"}).json()["results"]
    return run


def test_a_backfill_replaces_its_window_in_duckdb(events: Events, this_worker: Worker) -> None:
    pipeline = events.create_pipeline(destination={"kind": "duckdb", "config": {}}, **APPEND)
    events.run(this_worker, pipeline)
    events.change_behind_the_position()

    backfill = events.backfill(pipeline, **JANUARY_2)
    ended = events.finish(this_worker, pipeline, backfill)

    assert ended["status"] == "succeeded", ended
    with duckdb.connect(str(duckdb_file(pipeline)), read_only=True) as connection:
        table = '"shop_events"'
        rows = connection.execute(
            f"SELECT id, text FROM {table} WHERE {ON_JANUARY_2} ORDER BY id"
        ).fetchall()
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    assert rows == [(row[0], row[2]) for row in events.expected(ON_JANUARY_2)]
    assert count == ROW_COUNT + 1


def duckdb_file(pipeline: Pipeline) -> Path:
    """Return the file of the pipeline. Other tests have files in the same storage."""
    files = (Path(django_settings.DROVER_HOME) / "storage").rglob("*.duckdb")
    return next(file for file in files if str(pipeline.pk) in file.parts)


def test_the_rows_of_a_window_are_not_removed_if_the_source_has_none_unless_that_is_allowed(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**APPEND)
    events.run(this_worker, pipeline)
    events.source.execute(f"DELETE FROM shop.events WHERE {ON_JANUARY_2}")

    ended = events.finish(this_worker, pipeline, events.backfill(pipeline, **JANUARY_2))

    assert ended["status"] == "failed"
    assert "would remove all rows" in ended["failure_message"]
    assert len(events.arrived()) == ROW_COUNT

    stream = {"stream": "shop.events", "allow_empty": True}
    url = f"/api/v1/pipelines/{pipeline.pk}"
    changed = events.world.client().patch(url, {"config": {"streams": [stream]}})
    assert changed.status_code == 200, changed.content
    retried = events.world.client().post(f"/api/v1/runs/{ended['run_id']}/retry")
    assert retried.status_code == 200, retried.content
    work_until_idle(this_worker)
    ended = events.finish(this_worker, pipeline, ended)
    assert ended["status"] == "succeeded", ended
    assert events.arrived(ON_JANUARY_2) == []
    assert len(events.arrived()) == ROW_COUNT - 1_440


def test_due_runs_of_the_pipeline_start_before_the_next_chunk(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)
    backfill = events.backfill(pipeline, rows_per_chunk=1_000)
    assert chunks.start_due() == 1
    # The schedule would skip this time because of another run, and it is long ago.
    schedule = create_schedule(
        events.world,
        pipeline,
        overdue_by=timedelta(hours=1),
        overlap=Overlap.SKIP,
        misfire=Misfire.SKIP,
    )

    assert scheduling.tick() == 0, "it waits for the chunk"
    assert chunks.start_due() == 0
    work_until_idle(this_worker)
    assert chunks.start_due() == 0, "the schedule is due, so no chunk starts"
    assert scheduling.tick() == 1
    work_until_idle(this_worker)
    ended = events.finish(this_worker, pipeline, backfill)

    assert ended["status"] == "succeeded"
    with events.world.scope():
        runs = Run.objects.for_org(events.world.org).order_by("created_at")
        order = [(run.trigger, run.chunk) for run in runs]
    assert order[1:4] == [("backfill", 0), ("schedule", None), ("backfill", 1)]
    assert schedule.next_run_at < timezone.now()


def test_a_backfill_can_be_cancelled_and_what_was_loaded_stays(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)
    events.change_behind_the_position()
    backfill = events.backfill(pipeline, rows_per_chunk=1_000)
    chunks.start_due()
    work_until_idle(this_worker)
    chunks.start_due()
    url, client = f"{path_of(pipeline)}/{backfill['id']}/cancel", events.world.client()

    assert events.world.client("viewer").post(url).status_code == 403
    assert make_world("Other").client().post(url).status_code == 404
    cancelled = client.post(url)

    assert cancelled.status_code == 200, cancelled.content
    assert cancelled.json()["status"] == "cancelled"
    run = client.get(f"/api/v1/runs/{cancelled.json()['run_id']}").json()
    assert (run["status"], run["trigger"]) == ("cancelled", "backfill")
    again = client.post(url)
    assert (again.status_code, again.json()["code"]) == (409, "already_ended")
    assert again.json()["detail"] == "The backfill has ended already."
    assert chunks.start_due() == 0
    assert len(events.arrived("text = 'changed'")) == pytest.approx(100, abs=3)
    with events.world.scope():
        actions = AuditEvent.objects.for_org(events.world.org).values_list("action", flat=True)
        assert {"backfill.create", "backfill.cancel"} <= set(actions)


def test_the_estimate_creates_nothing(events: Events, this_worker: Worker) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)
    url, body = f"{path_of(pipeline)}/estimate", {"streams": ["shop.events"], "from": "2026-01-03"}

    answer = events.world.client().post(url, body)

    assert answer.json()["results"] == [
        {
            "stream": "shop.events",
            "window_mode": "merge",
            "from": "2026-01-03 00:00:00+00",
            "to": "2026-01-04 11:20:00+00",
            "rows": 2_120,
            "rows_counted": True,
            "chunks": 1,
        }
    ]
    assert events.world.client("viewer").post(url, body).status_code == 403
    assert make_world("Other").client().post(url, body).status_code == 404
    assert events.world.client().get(path_of(pipeline)).json()["results"] == []


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (
            {"from": "yesterday's"},
            "`from` of shop.events is not a value of the cursor field at, which has the type timestamp with time zone",
        ),
        (
            {"to": "2030-01-01"},
            "The window of shop.events may end at 2026-01-04 11:20:00+00 at the latest",
        ),
        (
            {"from": "2026-01-03", "to": "2026-01-02"},
            "The window of shop.events has no rows: `from` (2026-01-03 00:00:00+00) must be before `to` (2026-01-02 00:00:00+00)",
        ),
        (
            {"from": "2026-01-05"},
            "The window of shop.events has no rows: `from` (2026-01-05 00:00:00+00) must be before the saved position"
            " (2026-01-04 11:20:00+00), where a window without `to` ends",
        ),
        ({"from": "-infinity"}, "`from` of shop.events must be finite"),
    ],
)
def test_a_window_that_is_not_possible_is_refused(
    events: Events, this_worker: Worker, window: dict[str, str], message: str
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)

    answer = events.world.client().post(path_of(pipeline), {"streams": ["shop.events"], **window})

    assert answer.status_code == 422, answer.content
    assert message in answer.json()["detail"]


def refusal_of(events: Events, pipeline: Any) -> str:
    answer = events.world.client().post(path_of(pipeline), {"streams": ["shop.events"]})
    assert answer.status_code == 422, answer.content
    (error,) = answer.json()["errors"]
    assert error["field"] == "streams.0"
    shown = events.world.client("viewer").get(path_of(pipeline)).json()["streams"]
    assert [(each["stream"], each["window_mode"], each["refusal"]) for each in shown] == [
        ("shop.events", None, error["message"])
    ]
    return str(error["message"])


def test_a_stream_without_a_position_a_key_or_a_window_that_can_be_replaced_is_refused(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    assert "has no saved position" in refusal_of(events, pipeline)

    pipeline = events.create_pipeline(destination={"kind": "parquet", "config": {}}, **APPEND)
    events.run(this_worker, pipeline)
    assert "would arrive twice in Parquet files" in refusal_of(events, pipeline)

    pipeline = events.create_pipeline(table="other", **APPEND)
    events.run(this_worker, pipeline)
    code = "def transform(record):\n    return record\n"
    stream: dict[str, Any] = {
        "stream": "shop.events",
        "transforms": [{"kind": "python", "code": code}],
    }
    url = f"/api/v1/pipelines/{pipeline.pk}"
    changed = events.world.client().patch(url, {"config": {"streams": [stream]}})
    assert changed.status_code == 200, changed.content
    assert "may change the cursor field" in refusal_of(events, pipeline)
    rules: dict[str, Any] = {"rules": [{"field": "at", "name": "moment"}]}
    stream = {"stream": "shop.events", "transforms": [], "fields": rules}
    changed = events.world.client().patch(url, {"config": {"streams": [stream]}})
    assert changed.status_code == 200, changed.content
    assert "may change the cursor field" in refusal_of(events, pipeline)

    pipeline = events.create_pipeline(sync_mode="full_refresh", cursor_field=None, table="third")
    assert "Each run reads the whole stream" in refusal_of(events, pipeline)


def test_a_stream_has_one_unfinished_backfill_and_a_disabled_pipeline_gets_none(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)
    events.backfill(pipeline)
    client, body = events.world.client(), {"streams": ["shop.events"]}

    second = client.post(path_of(pipeline), body)
    assert (second.status_code, second.json()["code"]) == (409, "backfill_in_progress")
    assert client.post(f"/api/v1/pipelines/{pipeline.pk}/disable").status_code == 200
    assert client.post(path_of(pipeline), body).status_code == 423
    assert chunks.start_due() == 0, "the backfill waits until the pipeline is enabled"


def test_a_backfill_ends_if_the_stream_has_other_settings_now(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)
    backfill = events.backfill(pipeline)
    url = f"/api/v1/pipelines/{pipeline.pk}"
    stream = {"stream": "shop.events", "table": "elsewhere"}
    changed = events.world.client().patch(url, {"config": {"streams": [stream]}})
    assert changed.status_code == 200, changed.content

    assert chunks.start_due() == 0

    ended = events.show(pipeline, backfill)
    assert (ended["status"], ended["failure_message"]) == ("failed", chunks.SETTINGS_CHANGED)


def test_an_ended_backfill_is_deleted_with_the_last_of_its_runs(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(**MERGE)
    events.run(this_worker, pipeline)
    backfill = events.backfill(pipeline, rows_per_chunk=3_000)
    events.finish(this_worker, pipeline, backfill)
    with events.world.scope():
        runs = Run.objects.for_org(events.world.org).filter(backfill=backfill["id"])
        first, second = runs.order_by("chunk").values_list("pk", flat=True)

    assert retention._remove_run(events.world.org.pk, first)
    assert events.show(pipeline, backfill)["run_id"] == str(second)
    assert retention._remove_run(events.world.org.pk, second)

    assert events.world.client().get(path_of(pipeline)).json()["results"] == []
