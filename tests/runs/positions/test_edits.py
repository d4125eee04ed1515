"""A position that a person writes is saved only if the source could continue from it."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from apps.engine.position_shapes import find_faults
from apps.pipelines.models import Pipeline
from apps.runs.execute import Worker
from local.database.postgres import EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.backfills.events import Events
from tests.world import World

REST_POSITION = {
    "cursor_field": "updated",
    "value": "2026-01-02",
    "ties": ["2f0b"],
    "odd": None,
    "kind": "time",
}


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


@pytest.fixture
def events(acme: World, database: SourceDatabase, engine_postgres: EmbeddedPostgres) -> Events:
    return Events(acme, database, engine_postgres)


def put(events: Events, pipeline: Pipeline, position: Any) -> Any:
    path = f"/api/v1/pipelines/{pipeline.pk}/state"
    return events.world.client().put(path, {"state": position})


@pytest.mark.parametrize("is_keyed", [True, False], ids=["keyed", "without a key"])
def test_a_position_of_postgres_is_checked_and_names_its_wrong_parts(
    events: Events, this_worker: Worker, is_keyed: bool
) -> None:
    if not is_keyed:
        events.source.execute("ALTER TABLE shop.events DROP CONSTRAINT events_pkey")
    pipeline = events.create_pipeline(write_mode="append")
    events.run(this_worker, pipeline)
    saved = events.position(pipeline)[0]["state"]
    after = ["2026-01-03 00:00:00+00", "2880"][: len(saved["after"])]

    wrong: dict[str, Any] = {
        "state.foo": {**saved, "foo": 1},
        "state.cursor_field": {**saved, "cursor_field": "id"},
        "state.after": {**saved, "after": [*after, "1"]},
        "state.ties": {**saved, "ties": "none"},
    }
    for field, position in {**wrong, "state.after ": {**saved, "after": after[0]}}.items():
        answer = put(events, pipeline, position)
        assert answer.status_code == 422, (field, answer.content)
        assert [error["field"] for error in answer.json()["errors"]] == [field.strip()]
    fields = {error["field"] for error in put(events, pipeline, {"foo": 1}).json()["errors"]}
    assert fields == {"state.foo", "state.cursor_field"}
    assert events.position(pipeline)[0]["state"] == saved

    assert put(events, pipeline, saved).status_code == 200
    assert put(events, pipeline, {**saved, "after": after, "ties": []}).status_code == 200
    events.run(this_worker, pipeline)
    assert events.position(pipeline)[0]["state"]["after"] == saved["after"]


@pytest.mark.parametrize(
    ("kind", "position", "parts"),
    [
        ("rest", REST_POSITION, set()),
        ("rest", {**REST_POSITION, "value": 7, "repeated": []}, set()),
        ("rest", {"foo": 1}, {"foo", "cursor_field", "value"}),
        ("rest", {**REST_POSITION, "value": ["2026"]}, {"value"}),
        ("rest", {**REST_POSITION, "cursor_field": "created"}, {"cursor_field"}),
        ("kafka", {"offsets": {"0": 42}}, set()),
        ("kafka", {"offsets": {"0": "42"}}, {"offsets"}),
        ("files", {"foo": 1}, {"foo"}),
        ("dummy", {"after": 5}, set()),
        ("dummy", {"after": -1}, {"after"}),
        ("custom", {"foo": 1}, set()),
        ("postgres", {}, set()),
    ],
)
def test_each_kind_of_source_has_its_shape(
    kind: str, position: dict[str, Any], parts: set[str]
) -> None:
    cursor_field = "updated" if kind == "rest" else None
    faults = find_faults(kind, position, saved={}, cursor_field=cursor_field)
    assert faults.keys() == parts


def test_the_parts_of_an_older_release_may_stay() -> None:
    saved = {**REST_POSITION, "old": 1}
    assert not find_faults("rest", saved, saved=saved, cursor_field=None)
    assert find_faults("rest", saved, saved=REST_POSITION, cursor_field=None)
