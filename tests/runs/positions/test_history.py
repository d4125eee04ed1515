"""The history of a stream's saved position: each change is recorded, and an earlier position can be restored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from apps.engine.contract import Outcome, RunSpec
from apps.engine.process.stream_series import StreamSeries
from apps.engine.stream_keys import stream_key
from apps.engine.sync import position_history
from apps.orgs.models import AuditEvent, Org
from apps.pipelines.models import Pipeline
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker
from apps.runs.keeping import closing, retention
from apps.runs.models import Run
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.processes import read_run, start_run
from tests.world import World, make_pipeline, make_world

STREAM = {"stream": "generated", "sync_mode": "incremental", "write_mode": "append"}


@pytest.fixture(autouse=True)
def quick_retries(settings: Settings) -> None:
    settings.RUN_RETRY_WAIT = timedelta(0)


def config_with(rows: int) -> dict[str, Any]:
    return {
        "source": {"kind": "dummy", "config": {"rows": rows}},
        "streams": [STREAM],
        "destination": {"kind": "jsonl", "config": {}},
    }


def run_with(worker: Worker, world: World, pipeline: Pipeline, rows: int) -> UUID:
    """Run the pipeline when its source has this number of rows."""
    path = f"/api/v1/pipelines/{pipeline.pk}"
    assert world.client().patch(path, {"config": config_with(rows)}).status_code == 200
    run_id = start_run(world, pipeline)
    work_until_idle(worker)
    assert read_run(world, run_id)["status"] == "succeeded"
    return run_id


@pytest.fixture
def pipeline(acme: World) -> Pipeline:
    created: Pipeline = make_pipeline(acme, config=config_with(20))
    return created


def path_of(pipeline: Pipeline) -> str:
    return f"/api/v1/pipelines/{pipeline.pk}/state"


def history_of(world: World, pipeline: Pipeline, query: str = "") -> list[dict[str, Any]]:
    answer = world.client("viewer").get(f"{path_of(pipeline)}/history{query}")
    assert answer.status_code == 200, answer.content
    changes: list[dict[str, Any]] = answer.json()["results"]
    return changes


def position_of(world: World, pipeline: Pipeline) -> Any:
    (stream,) = world.client().get(path_of(pipeline)).json()["streams"]
    return stream["state"]


def test_each_change_of_a_position_is_in_the_history_with_its_author(
    acme: World, pipeline: Pipeline, this_worker: Worker
) -> None:
    first = run_with(this_worker, acme, pipeline, 20)
    run_with(this_worker, acme, pipeline, 20)  # reads nothing new, so the position stays
    second = run_with(this_worker, acme, pipeline, 30)
    client, path = acme.client(), path_of(pipeline)
    assert client.put(path, {"state": {"after": 5}}).status_code == 200
    assert client.post(f"{path}/reset", {}).status_code == 200
    assert client.post(f"{path}/reset", {}).status_code == 200, "changes nothing"

    changes = history_of(acme, pipeline)

    assert [(one["cause"], one["before"], one["after"]) for one in changes] == [
        ("reset", {"after": 5}, None),
        ("edit", {"after": 30}, {"after": 5}),
        ("run", {"after": 20}, {"after": 30}),
        ("run", None, {"after": 20}),
    ]
    assert [one["run_id"] for one in changes] == [None, None, str(second), str(first)]
    authors = [one["changed_by"] for one in changes]
    assert authors[0] == authors[1]
    assert authors[0] is not None
    assert authors[2:] == [None, None]
    assert position_of(acme, pipeline) is None, "a reset stream has no position"
    assert history_of(acme, pipeline, "?stream=generated") == changes
    assert history_of(acme, pipeline, "?stream=another") == []
    assert history_of(acme, pipeline, "?offset=3") == changes[3:]


def test_an_earlier_position_can_be_restored_and_the_next_run_continues_from_it(
    acme: World, pipeline: Pipeline, this_worker: Worker
) -> None:
    run_with(this_worker, acme, pipeline, 20)
    run_with(this_worker, acme, pipeline, 30)
    client, path = acme.client(), path_of(pipeline)
    assert client.post(f"{path}/reset", {}).status_code == 200
    newest_run = history_of(acme, pipeline)[1]

    answer = client.post(f"{path}/restore", {"change": newest_run["id"], "side": "before"})

    assert answer.json()["streams"][0]["state"] == {"after": 20}
    restored = history_of(acme, pipeline)[0]
    assert (restored["cause"], restored["before"], restored["after"]) == (
        "restore",
        None,
        {"after": 20},
    )
    run_id = run_with(this_worker, acme, pipeline, 30)
    assert read_run(acme, run_id)["progress"]["read"] == 10
    with acme.scope():
        event = AuditEvent.objects.for_org(acme.org).get(action="state.restore")
    assert event.changes["change"] == [None, newest_run["id"]]


def test_a_position_is_restored_only_when_no_run_is_in_progress_and_if_there_was_one(
    acme: World, pipeline: Pipeline, this_worker: Worker
) -> None:
    run_with(this_worker, acme, pipeline, 20)
    (change,) = history_of(acme, pipeline)
    client, path = acme.client(), f"{path_of(pipeline)}/restore"
    refused = client.post(path, {"change": change["id"], "side": "before"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "no_position")
    assert client.post(path, {"change": str(uuid4())}).status_code == 404
    run_id = start_run(acme, pipeline)
    answer = client.post(path, {"change": change["id"]})
    assert (answer.status_code, answer.json()["run_id"]) == (409, str(run_id))


def test_strangers_do_not_find_a_history_and_viewers_cannot_restore(
    acme: World, pipeline: Pipeline, this_worker: Worker
) -> None:
    run_with(this_worker, acme, pipeline, 20)
    (change,) = history_of(acme, pipeline)
    stranger, path = make_world(), path_of(pipeline)
    assert stranger.client("owner").get(f"{path}/history").status_code == 404
    body = {"change": change["id"]}
    assert stranger.client("owner").post(f"{path}/restore", body).status_code == 404
    own = make_pipeline(stranger, config=config_with(20))
    run_with(this_worker, stranger, own, 20)
    assert stranger.client("owner").post(f"{path_of(own)}/restore", body).status_code == 404
    assert acme.client("viewer").post(f"{path}/restore", body).status_code == 403
    assert acme.client("member").post(f"{path}/restore", body).status_code == 200


def test_a_change_is_recorded_once_if_the_worker_dies_after_the_publication(
    acme: World, pipeline: Pipeline, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stream = StreamSeries.run
    calls: list[str] = []

    def run_and_forget_the_first_end(
        series: StreamSeries, spec: RunSpec, **options: Any
    ) -> Outcome:
        """Run the stream to its end. The first time, the worker does not hear of it."""
        outcome = run_stream(series, spec, **options)
        calls.append(spec.run_id)
        if len(calls) == 1:
            raise RuntimeError("the worker ends here")
        return outcome

    monkeypatch.setattr(StreamSeries, "run", run_and_forget_the_first_end)
    run_id = start_run(acme, pipeline)
    with pytest.raises(RuntimeError):
        work_until_idle(this_worker)
    with acme.scope():
        run = Run.objects.for_org(acme.org).get(pk=run_id)
    assert run.lease is not None
    assert reconciler.recover(org_id=acme.org.pk, run_id=run_id, lease=run.lease, worker_died=True)
    (change,) = history_of(acme, pipeline)

    work_until_idle(this_worker)

    assert (len(calls), read_run(acme, run_id)["status"]) == (2, "succeeded")
    assert history_of(acme, pipeline) == [change]
    assert change["after"] == {"after": 20}


def test_a_position_that_was_edited_after_a_lost_end_of_a_run_is_kept_by_its_retry(
    acme: World, pipeline: Pipeline, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stream = StreamSeries.run

    def run_and_die(series: StreamSeries, spec: RunSpec, **options: Any) -> Outcome:
        run_stream(series, spec, **options)
        raise RuntimeError("the worker ends here")

    monkeypatch.setattr(StreamSeries, "run", run_and_die)
    run_id = start_run(acme, pipeline)
    with pytest.raises(RuntimeError):
        work_until_idle(this_worker)
    monkeypatch.undo()
    client = acme.client()
    assert client.post(f"/api/v1/runs/{run_id}/cancel").status_code == 200
    assert reconciler.enforce_cancel(org_id=acme.org.pk, run_id=run_id)
    assert client.put(path_of(pipeline), {"state": {"after": 5}}).status_code == 200
    assert client.post(f"/api/v1/runs/{run_id}/retry").status_code == 200

    work_until_idle(this_worker)

    assert read_run(acme, run_id)["status"] == "succeeded"
    assert position_of(acme, pipeline) == {"after": 5}


def test_the_history_expires_with_the_runs_of_its_org(
    acme: World, pipeline: Pipeline, this_worker: Worker
) -> None:
    other = make_world()
    others = make_pipeline(other, config=config_with(20))
    for world, its_pipeline in ((acme, pipeline), (other, others)):
        run_with(this_worker, world, its_pipeline, 20)
        run_with(this_worker, world, its_pipeline, 30)
        with psycopg.connect(django_settings.ENGINE_DATABASE_URL) as connection:
            key = stream_key(world.org.pk, its_pipeline.pk, "generated")
            connection.execute(
                "update engine.engine_position set at = at - interval '31 days'"
                " where stream_key = %s and before is null",
                (key,),
            )
    with acme.scope():
        Org.objects.filter(pk=acme.org.pk).update(keep_runs_days=30)
    with other.scope():
        Org.objects.filter(pk=other.org.pk).update(keep_runs_days=None)

    assert retention.remove_expired_data().positions == 1

    assert [one["after"] for one in history_of(acme, pipeline)] == [{"after": 30}]
    assert len(history_of(other, others)) == 2


def test_a_stream_keeps_a_limited_number_of_changes(
    acme: World, pipeline: Pipeline, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position_history, "MAX_CHANGES", 2)
    run_with(this_worker, acme, pipeline, 20)
    for after in (1, 2, 3):
        acme.client().put(path_of(pipeline), {"state": {"after": after}})

    retention.remove_expired_data()

    assert [one["after"] for one in history_of(acme, pipeline)] == [{"after": 3}, {"after": 2}]


def test_the_history_is_removed_with_the_org(
    acme: World, pipeline: Pipeline, this_worker: Worker
) -> None:
    run_with(this_worker, acme, pipeline, 20)
    assert closing.remove_org_data(acme.org.pk)
    assert history_of(acme, pipeline) == []
