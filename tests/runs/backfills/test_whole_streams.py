"""A stream of a source that cannot read a window is read again as a whole, beside its saved position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from pytest_django import Settings

from apps.runs.backfills import chunks
from apps.runs.execute import Worker
from apps.runs.models import Output
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.world import World, make_pipeline


class Items:
    """An API whose records have a time, by which it can be asked for newer ones."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = [{"id": n, "at": n, "value": n} for n in range(1, 6)]

    def respond(self, request: ReceivedRequest) -> Reply:
        since = int(request.params.get("since", 0))
        return Reply([row for row in self.rows if row["at"] >= since])


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


@pytest.fixture
def items() -> Items:
    return Items()


@pytest.fixture
def api(items: Items) -> Iterator[Api]:
    with serve_api(items.respond) as server:
        yield server


def create(world: World, api: Api, **stream: Any) -> Any:
    listed = {"name": "items", "cursor_field": "at", "cursor_param": "since", "primary_key": ["id"]}
    settings = {"base_url": api.url, "streams": [listed], "retries": 0}
    values = {"stream": "items", "sync_mode": "incremental", "cursor_field": "at", **stream}
    config = {
        "source": {"kind": "rest", "config": settings},
        "streams": [values],
        "destination": {"kind": "duckdb", "config": {}},
    }
    return make_pipeline(world, config=config)


def arrived(world: World, pipeline: Any) -> list[tuple[Any, ...]]:
    from apps.connectors.storage import data_root

    with world.scope():
        output = Output.objects.for_org(world.org).order_by("-created_at").first()
    assert output is not None
    root = data_root(world.org.pk, pipeline.pk).url.removeprefix("file://")
    with duckdb.connect(f"{root}/{output.key}", read_only=True) as database:
        return database.execute('SELECT id, "at", value FROM items ORDER BY id').fetchall()


def path_of(pipeline: Any) -> str:
    return f"/api/v1/pipelines/{pipeline.pk}/backfills"


def state_of(world: World, pipeline: Any) -> Any:
    return world.client().get(f"/api/v1/pipelines/{pipeline.pk}/state").json()["streams"]


def test_a_stream_of_an_api_is_read_again_as_a_whole_and_merged(
    acme: World, this_worker: Worker, api: Api, items: Items
) -> None:
    pipeline = create(acme, api, write_mode="merge", primary_key=["id"])
    run_pipeline(this_worker, acme, pipeline)
    items.rows[1]["value"] = 20
    items.rows.append({"id": 6, "at": 2, "value": 60})
    run_pipeline(this_worker, acme, pipeline)
    assert arrived(acme, pipeline) == [(n, n, n) for n in range(1, 6)]
    position = state_of(acme, pipeline)

    (shown,) = acme.client("viewer").get(path_of(pipeline)).json()["streams"]
    assert (shown["reads_whole"], shown["window_mode"], shown["refusal"]) == (True, "merge", "")
    body = {"streams": ["items"]}
    estimate = acme.client().post(f"{path_of(pipeline)}/estimate", body, format="json")
    assert [(each["rows"], each["to"]) for each in estimate.json()["results"]] == [(None, None)]
    created = acme.client().post(path_of(pipeline), body, format="json")
    assert created.status_code == 201, created.content
    chunks.start_due()
    work_until_idle(this_worker)
    chunks.start_due()

    (backfill,) = acme.client().get(path_of(pipeline)).json()["results"]
    assert (backfill["status"], backfill["rows_read"], backfill["to"]) == ("succeeded", 6, None)
    expected = [(n, n, n) for n in range(1, 6)]
    expected[1] = (2, 2, 20)
    assert arrived(acme, pipeline) == [*expected, (6, 2, 60)]
    assert state_of(acme, pipeline) == position

    items.rows.append({"id": 7, "at": 7, "value": 70})
    run_pipeline(this_worker, acme, pipeline)
    assert arrived(acme, pipeline)[-1] == (7, 7, 70)


def test_a_window_and_a_stream_without_a_key_are_refused(
    acme: World, this_worker: Worker, api: Api
) -> None:
    pipeline = create(acme, api, write_mode="merge", primary_key=["id"])
    run_pipeline(this_worker, acme, pipeline)
    window = {"streams": ["items"], "from": "2"}
    answer = acme.client().post(path_of(pipeline), window, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "from")
    assert "cannot read a window" in answer.json()["errors"][0]["message"]

    appending = create(acme, api, write_mode="append")
    run_pipeline(this_worker, acme, appending)
    answer = acme.client().post(path_of(appending), {"streams": ["items"]}, format="json")
    assert answer.status_code == 422
    assert "all its rows would arrive twice" in answer.json()["errors"][0]["message"]
