"""A position that a person writes is saved only if the source could continue from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from pytest_django import Settings

from apps.engine.position_shapes import MAX_POSITION_BYTES, find_faults
from apps.engine.stream_keys import stream_key
from apps.engine.sync.state import continue_from
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
    faults = find_faults(kind, position, saved={}, cursor_field=cursor_field, types={})
    assert faults.keys() == parts


def test_the_parts_of_an_older_release_may_stay() -> None:
    saved = {**REST_POSITION, "old": 1}
    assert not find_faults("rest", saved, saved=saved, cursor_field=None, types={})
    assert find_faults("rest", saved, saved=REST_POSITION, cursor_field=None, types={})


def test_a_position_is_refused_if_it_is_too_long_and_longer_than_the_saved_one(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(write_mode="append")
    events.run(this_worker, pipeline)
    (row,) = events.position(pipeline)
    long = {**row["state"], "contents": "x" * MAX_POSITION_BYTES}
    answer = put(events, pipeline, long)
    assert answer.status_code == 422, answer.content
    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("state", "max_length")
    assert f"at most {MAX_POSITION_BYTES:,} bytes" in error["message"]
    assert events.position(pipeline) == [row], "nothing was stored"

    key = stream_key(events.world.org.pk, pipeline.pk, row["stream"])
    assert continue_from(settings.ENGINE_DATABASE_URL, key, json.dumps(long))
    shorter = {**long, "contents": long["contents"][1:]}
    assert put(events, pipeline, shorter).status_code == 200, "the source has made a long one"


def test_a_value_that_is_not_of_the_type_of_its_column_is_refused(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(write_mode="append")
    events.run(this_worker, pipeline)
    saved = events.position(pipeline)[0]["state"]
    day, number = saved["after"]
    wrong = {
        "the cursor": ("state.after", {"after": ["soon", number]}, "'soon' is not a value of at"),
        "a day that is not in the calendar": (
            "state.after",
            {"after": ["2026-02-31", number]},
            "'2026-02-31' is not a value of at",
        ),
        "the key": ("state.after", {"after": [day, "abc"]}, "'abc' is not a value of id"),
        "a large key": (
            "state.after",
            {"after": [day, "99999999999"]},
            "which has the type integer",
        ),
        "a row with the last value": ("state.ties", {"ties": [["x"]]}, "'x' is not a value of id"),
        "a row with two keys": ("state.ties", {"ties": [["1", "2"]]}, "a value of: id"),
        "a digest": ("state.ties", {"ties": ["2f0b"]}, "a value of: id"),
    }
    for field, change, text in wrong.values():
        answer = put(events, pipeline, {**saved, **change})
        assert answer.status_code == 422, (change, answer.content)
        (error,) = answer.json()["errors"]
        assert error["field"] == field
        assert text in error["message"]
    assert events.position(pipeline)[0]["state"] == saved, "nothing was stored"
    assert put(events, pipeline, {**saved, "after": ["2026-01-02", "7"]}).status_code == 200


def test_a_stream_that_each_run_reads_whole_has_no_position_to_write(
    events: Events, this_worker: Worker
) -> None:
    pipeline = events.create_pipeline(
        sync_mode="full_refresh", cursor_field=None, write_mode="replace"
    )
    events.run(this_worker, pipeline)
    before = events.position(pipeline)
    for position in ({"foo": 1}, {}, {"cursor_field": "at"}):
        answer = put(events, pipeline, position)
        assert answer.status_code == 422, answer.content
        (error,) = answer.json()["errors"]
        assert (error["field"], error["code"]) == ("state", "not_incremental")
        assert "reads all records of shop.events" in error["message"]
    assert events.position(pipeline) == before


VALUES = [
    ("integer", "42", True),
    ("integer", "2147483648", False),
    ("bigint", "-1", True),
    ("bigint", "1.5", False),
    ("numeric(10,2)", "1.50", True),
    ("numeric(10,2)", "one", False),
    ("double precision", "1e5", True),
    ("uuid", "019caa57-7cbc-7a47-9e75-d7e5a0a3a6a9", True),
    ("uuid", "019caa57", False),
    ("date", "2026-02-28", True),
    ("date", "2026-02-30", False),
    ("date", "0044-03-15 BC", True),
    ("timestamp with time zone", "2026-02-28 23:00:00.5+00", True),
    ("timestamp(3) with time zone", "2026-02-28 25:00:00+00", False),
    ("timestamp without time zone", "12026-02-28 23:00:00", True),
    ("character varying(5)", "anything", True),
    ("", "anything", True),
]


@pytest.mark.parametrize(("type_", "value", "is_accepted"), VALUES)
def test_a_value_is_compared_with_the_type_of_its_column(
    type_: str, value: str, *, is_accepted: bool
) -> None:
    position = {"cursor_field": "c", "after": [value], "key": ["c"]}
    faults = find_faults("postgres", position, saved={}, cursor_field="c", types={"c": type_})
    assert (not faults) is is_accepted


def test_few_faults_of_a_position_are_named_in_short_sentences() -> None:
    position = {"cursor_field": "c", "after": ["x" * 100_000], "key": ["c"]}
    (fault,) = find_faults(
        "postgres", position, saved={}, cursor_field="c", types={"c": "bigint"}
    ).values()
    assert len(fault) < 200
    unknown = {f"part {number}": 1 for number in range(10_000)}
    assert len(find_faults("rest", unknown, saved={}, cursor_field=None, types={})) <= 50
