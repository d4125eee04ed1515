"""The rejected records of a run are sent again by a run of its own: who may, when it is refused, and what arrives."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from apps.orgs.models import AuditEvent
from apps.pipelines.models import Pipeline
from apps.runs.execute import Worker
from apps.runs.models import Run, RunStream, Status
from local.database.postgres import EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.backfills.events import ROW_COUNT, Events
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World, make_world

REJECTED = ROW_COUNT // 1000
MERGE = {"write_mode": "merge", "primary_key": ["id"]}
TYPES = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'arrived' ORDER BY 1"


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


@pytest.fixture
def events(acme: World, database: SourceDatabase, engine_postgres: EmbeddedPostgres) -> Events:
    return Events(acme, database, engine_postgres)


def python(otherwise: str) -> list[dict[str, Any]]:
    """A transform that returns something else for every thousandth record."""
    code = (
        f"def transform(record):\n    return {otherwise} if record['id'] % 1000 == 0 else record\n"
    )
    return [{"kind": "python", "code": code}]


REJECTING, REPAIRED = python("{}"), python("record")


def load(events: Events, worker: Worker, **stream: Any) -> tuple[Pipeline, UUID]:
    """Load all rows but every thousandth, which is rejected. Returns the pipeline and the run."""
    pipeline = create_pipeline(events, max_rejected_share=1.0, **stream)
    run_id = events.run(worker, pipeline)
    assert len(events.arrived()) == ROW_COUNT - REJECTED
    return pipeline, run_id


def create_pipeline(events: Events, **stream: Any) -> Pipeline:
    pipeline = events.create_pipeline(**{"write_mode": "append", **stream})
    change(events.world, pipeline, transforms=REJECTING)
    return pipeline


def change(world: World, pipeline: Pipeline, **stream: Any) -> None:
    path = f"/api/v1/pipelines/{pipeline.pk}"
    answer = world.client().patch(path, {"config": {"streams": [stream]}}, format="json")
    assert answer.status_code == 200, answer.content


def path_of(run_id: Any) -> str:
    return f"/api/v1/runs/{run_id}/rejected/replay"


def send(world: World, run_id: Any, role: str = "member", **body: Any) -> Any:
    return world.client(role).post(path_of(run_id), body, format="json")


def send_and_run(world: World, worker: Worker, run_id: Any) -> dict[str, Any]:
    answer = send(world, run_id)
    assert answer.status_code == 201, answer.content
    created = answer.json()
    assert (created["trigger"], created["replay_of"]) == ("replay", str(run_id))
    work_until_idle(worker)
    return show(world, created["id"])


def show(world: World, run_id: Any) -> dict[str, Any]:
    return dict(world.client("viewer").get(f"/api/v1/runs/{run_id}").json())


def refusal_shown(world: World, run_id: Any) -> str:
    (stream,) = world.client("viewer").get(path_of(run_id)).json()["results"]
    return str(stream["refusal"])


def refusal(world: World, run_id: Any) -> str:
    shown = refusal_shown(world, run_id)
    answer = send(world, run_id, streams=["shop.events"])
    if shown:
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["message"] == shown
        assert send(world, run_id).status_code == 409
    return shown


def counts(run: dict[str, Any]) -> list[int]:
    progress = run["progress"]
    found = [progress[name] for name in ("read", "written", "rejected", "skipped")]
    assert found[0] == sum(found[1:])
    return found


@pytest.mark.parametrize("modes", [pytest.param(MERGE, marks=pytest.mark.long), {}])
def test_rejected_records_arrive_once_and_the_position_stays(
    events: Events, acme: World, this_worker: Worker, modes: dict[str, Any]
) -> None:
    pipeline, run_id = load(events, this_worker, **modes)
    position = events.position(pipeline)
    with psycopg.connect(events.target_url) as target:
        types = target.execute(TYPES.encode()).fetchall()
    assert acme.client("viewer").get(path_of(run_id)).json()["results"] == [
        {
            "stream": "shop.events",
            "rejected": REJECTED,
            "sendable": REJECTED,
            "refusal": "",
            "replay_id": None,
        }
    ]
    change(acme, pipeline, transforms=REPAIRED)
    replay = send_and_run(acme, this_worker, run_id)
    assert replay["status"] == "succeeded", replay["failure"]
    assert counts(replay) == [REJECTED, REJECTED, 0, 0]
    assert events.arrived() == events.expected()
    assert events.position(pipeline) == position
    with psycopg.connect(events.target_url) as target:
        assert target.execute(TYPES.encode()).fetchall() == types

    assert "were sent again before" in refusal(acme, run_id)
    events.run(this_worker, pipeline)
    assert events.arrived() == events.expected()
    listed = acme.client().get(f"/api/v1/pipelines/{pipeline.pk}").json()["last_run"]
    assert listed["id"] != replay["id"]


def test_what_is_rejected_again_can_be_read_and_sent_with_the_next_definition(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    change(acme, pipeline, transforms=python("record if record['id'] > 3000 else {}"))
    replay = send_and_run(acme, this_worker, run_id)
    assert counts(replay) == [REJECTED, 2, 3, 0]
    page = acme.client().get(f"/api/v1/runs/{replay['id']}/rejected").json()
    assert page["kept"] == 3

    change(acme, pipeline, transforms=REPAIRED)
    again = send_and_run(acme, this_worker, replay["id"])
    assert counts(again) == [3, 3, 0, 0]
    assert events.arrived() == events.expected()


def test_strangers_and_viewers_cannot_send_records(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    for method in ("get", "post"):
        client = make_world().client("owner")
        answer = getattr(client, method)(path_of(run_id), {}, format="json")
        assert answer.status_code == 404
    assert send(acme, run_id, "viewer").status_code == 403
    assert send(acme, uuid4()).status_code == 404
    assert send(acme, run_id, streams=["other"]).json()["errors"][0]["code"] == "unknown"
    assert send(acme, run_id, streams=["a", "a"]).status_code == 422
    with acme.scope():
        assert Run.objects.for_org(acme.org).filter(pipeline=pipeline).count() == 1


def test_the_same_idempotency_key_starts_one_run_and_one_event_is_recorded(
    events: Events, acme: World, this_worker: Worker
) -> None:
    _, run_id = load(events, this_worker)
    first, second = (
        acme.client().post(path_of(run_id), {}, format="json", HTTP_IDEMPOTENCY_KEY="once")
        for _ in range(2)
    )
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    with acme.scope():
        event = AuditEvent.objects.for_org(acme.org).get(action="run.replay")
    assert event.changes["replay_id"] == [None, first.json()["id"]]
    assert event.changes["streams"] == [None, ["shop.events"]]


def test_records_are_not_sent_while_the_pipeline_runs_or_is_disabled(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    live = start_run(acme, pipeline)
    answer = send(acme, run_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "run_in_progress")
    assert str(live) in answer.json()["detail"]
    work_until_idle(this_worker)
    acme.client().post(f"/api/v1/pipelines/{pipeline.pk}/disable", {}, format="json")
    assert send(acme, run_id).status_code == 423


def test_a_stream_that_reads_everything_again_is_refused(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    change(acme, pipeline, sync_mode="full_refresh", cursor_field=None, write_mode="replace")
    assert "run the pipeline again" in refusal(acme, run_id)


def test_a_run_that_has_published_nothing_is_refused(
    events: Events, acme: World, this_worker: Worker
) -> None:
    run_id = start_run(acme, create_pipeline(events))
    work_until_idle(this_worker)
    assert show(acme, run_id)["status"] == "failed"
    assert "has not published the stream" in refusal(acme, run_id)


@pytest.mark.long
def test_records_that_were_read_again_are_not_appended_twice(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    change(acme, pipeline, transforms=REPAIRED)
    reset = f"/api/v1/pipelines/{pipeline.pk}/state/reset"
    assert acme.client().post(reset, {}, format="json").status_code == 200
    assert "was reset" in refusal(acme, run_id)
    events.run(this_worker, pipeline)
    assert events.arrived() == events.expected()
    assert "was reset" in refusal(acme, run_id)


@pytest.mark.long
def test_a_row_that_a_later_run_has_written_is_not_replaced_by_an_older_record(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker, **MERGE)
    change(acme, pipeline, transforms=[], fields=None)
    events.source.execute(
        "UPDATE shop.events SET text = 'newer', at = at + interval '10 years' WHERE id = 1000"
    )
    events.run(this_worker, pipeline)
    replay = send_and_run(acme, this_worker, run_id)
    assert counts(replay) == [REJECTED, REJECTED, 0, 0]
    assert events.arrived() == events.expected()

    change(acme, pipeline, transforms=REJECTING)
    events.source.execute("UPDATE shop.events SET at = at + interval '20 years' WHERE id < 2001")
    second = events.run(this_worker, pipeline)
    events.source.execute("UPDATE shop.events SET at = at + interval '30 years' WHERE id = 3")
    events.run(this_worker, pipeline)
    assert "nothing tells which of two rows" in refusal(acme, second)


def test_fields_that_the_rules_had_dropped_are_not_sent_as_empty(
    events: Events, acme: World, this_worker: Worker
) -> None:
    dropped = {"others": "keep", "rules": [{"field": "text", "drop": True}]}
    pipeline = create_pipeline(events, max_rejected_share=1.0, fields=dropped)
    run_id = events.run(this_worker, pipeline)
    renamed = {"others": "keep", "rules": [{"field": "text", "name": "note"}]}
    for fields in (None, renamed):
        change(acme, pipeline, fields=fields)
        assert "have dropped or hidden the field 'text'" in refusal(acme, run_id), fields


def test_a_failed_replay_is_retried_or_replaced_by_another_one(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    change(acme, pipeline, transforms=python("{**record, 'text': 1 / 0}"))
    failed = send_and_run(acme, this_worker, run_id)
    assert failed["status"] == "failed"
    change(acme, pipeline, transforms=REPAIRED)
    assert counts(send_and_run(acme, this_worker, run_id)) == [REJECTED, REJECTED, 0, 0]
    retry = acme.client().post(f"/api/v1/runs/{failed['id']}/retry", {}, format="json")
    assert (retry.status_code, retry.json()["code"]) == (409, "nothing_to_send")
    assert events.arrived() == events.expected()


def test_a_reset_is_found_although_the_clock_of_the_worker_was_fast(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    with acme.scope():
        rows = RunStream.objects.for_org(acme.org).filter(run_id=run_id)
        rows.update(finished_at=timezone.now() + timedelta(minutes=5))
    change(acme, pipeline, transforms=REPAIRED)
    assert not refusal_shown(acme, run_id)
    reset = f"/api/v1/pipelines/{pipeline.pk}/state/reset"
    assert acme.client().post(reset, {}, format="json").status_code == 200
    assert "was reset" in refusal(acme, run_id)


def test_many_streams_are_judged_by_as_many_queries_as_one(acme: World) -> None:
    queries = []
    for count in (1, 20):
        run_id = start_run(acme, make_pipeline(acme))
        with acme.scope():
            RunStream.objects.for_org(acme.org).bulk_create(
                RunStream(
                    org=acme.org,
                    run_id=run_id,
                    position=number,
                    name=f"stream {number}",
                    status=Status.SUCCEEDED,
                    finished_at=timezone.now(),
                    records_rejected=1,
                )
                for number in range(count)
            )
        with CaptureQueriesContext(connection) as captured:
            answer = acme.client("viewer").get(path_of(run_id))
        assert len(answer.json()["results"]) == count
        queries.append(len(captured))
    assert queries[0] == queries[1]


def test_a_replay_whose_records_were_removed_fails(
    events: Events, acme: World, this_worker: Worker
) -> None:
    _, run_id = load(events, this_worker)
    answer = send(acme, run_id)
    with acme.scope():
        Run.objects.for_org(acme.org).filter(pk=run_id).delete()
    work_until_idle(this_worker)
    replay = show(acme, answer.json()["id"])
    assert (replay["status"], replay["replay_of"]) == ("failed", None)
    assert "was removed" in replay["failure"]["message"]


def test_a_cancelled_replay_is_not_retried_after_its_records_were_read_again(
    events: Events, acme: World, this_worker: Worker
) -> None:
    pipeline, run_id = load(events, this_worker)
    change(acme, pipeline, transforms=REPAIRED)
    replay = f"/api/v1/runs/{send(acme, run_id).json()['id']}"
    assert acme.client().post(f"{replay}/cancel", {}, format="json").status_code == 200
    reset = f"/api/v1/pipelines/{pipeline.pk}/state/reset"
    assert acme.client().post(reset, {}, format="json").status_code == 200
    events.run(this_worker, pipeline)
    retry = acme.client().post(f"{replay}/retry", {}, format="json")
    work_until_idle(this_worker)
    assert events.arrived() == events.expected()
    assert (retry.status_code, retry.json()["code"]) == (409, "nothing_to_send")
    assert "was reset" in retry.json()["detail"]
