"""Definitions with several streams: names, tables, changes and transforms. Each error names its field."""

from __future__ import annotations

import re
from typing import Any

import pytest

from apps.pipelines.definition.streams import MAX_STREAMS
from tests.world import World, make_connector

URL = "/api/v1/pipelines"
CODE = "def transform(record):\n    return record\n"


def post(world: World, streams: list[dict[str, Any]], name: str = "Many", **config: Any) -> Any:
    body = {
        "name": name,
        "config": {
            "source": {"kind": "dummy", "config": {}},
            "streams": streams,
            "destination": {"kind": "parquet", "config": {}},
            **config,
        },
    }
    return world.client().post(URL, body)


def errors_of(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


def tables_of(answer: Any) -> list[str]:
    assert answer.status_code in {200, 201}, answer.content
    return [stream["table"] for stream in answer.json()["config"]["streams"]]


def rest(*names: str) -> dict[str, Any]:
    """Return a source whose streams have these names."""
    streams = [{"name": name, "path": f"/{number}"} for number, name in enumerate(names)]
    return {"kind": "rest", "config": {"base_url": "https://api.example.com", "streams": streams}}


def test_a_pipeline_with_several_streams_is_stored_and_listed(world: World) -> None:
    answer = post(world, [{"stream": "creatures"}, {"stream": "plants", "table": "green"}])
    assert tables_of(answer) == ["creatures", "green"]
    (row,) = world.client("viewer").get(URL).json()["results"]
    assert (row["stream"], row["stream_count"]) == ("creatures", 2)


def test_streams_with_the_same_default_table_get_different_tables(world: World) -> None:
    answer = post(
        world,
        [{"stream": "a.b"}, {"stream": "a_b"}, {"stream": "A_b"}],
        source=rest("a.b", "a_b", "A_b"),
    )
    tables = tables_of(answer)
    assert len({table.casefold() for table in tables}) == 3
    assert all(table.casefold().startswith("a_b_") for table in tables)


@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_stream_keeps_its_table_when_a_stream_with_the_same_default_table_joins_or_leaves(
    world: World, method: str
) -> None:
    """An incremental stream would continue in an empty table."""
    source = rest("a.b", "a_b")
    both, first = [{"stream": "a.b"}, {"stream": "a_b"}], [{"stream": "a.b"}]
    joined = post(world, first, source=source)
    body = {**joined.json(), "config": {**joined.json()["config"], "streams": both}}
    url = f"{URL}/{joined.json()['id']}"
    changed = change(world, url, method, body)
    assert tables_of(changed)[0] == "a_b"
    assert tables_of(changed)[1].startswith("a_b_")
    together = post(world, both, "Together", source=source)
    body = {"name": "Together", "config": {**together.json()["config"], "streams": first}}
    left = change(world, f"{URL}/{together.json()['id']}", method, body)
    assert tables_of(left) == tables_of(together)[:1]


def change(world: World, url: str, method: str, body: dict[str, Any]) -> Any:
    if method == "patch":
        return world.client().patch(url, {"config": {"streams": body["config"]["streams"]}})
    return world.client().put(url, {"name": body["name"], "config": body["config"]})


def test_no_default_table_has_a_reserved_name(world: World) -> None:
    (table,) = tables_of(post(world, [{"stream": "_drover_x"}], source=rest("_drover_x")))
    assert re.fullmatch("drover_x_[0-9a-f]{8}", table)


@pytest.mark.parametrize("second", ["main.people", "Main.People"])
def test_two_streams_cannot_write_the_same_table_of_a_duckdb_file(
    world: World, second: str
) -> None:
    streams = [{"stream": "creatures", "table": "people"}, {"stream": "plants", "table": second}]
    answer = post(world, streams, destination={"kind": "duckdb", "config": {}})
    assert errors_of(answer) == [("streams.1.table", "taken")]


@pytest.mark.parametrize("second", ["people", "People"])
def test_two_streams_cannot_write_the_same_table(world: World, second: str) -> None:
    streams = [{"stream": "creatures", "table": "people"}, {"stream": "plants", "table": second}]
    answer = post(world, streams)
    assert errors_of(answer) == [("streams.1.table", "taken")]
    assert "creatures" in answer.json()["errors"][0]["message"]


def test_a_table_of_another_pipeline_is_refused_at_its_stream(world: World) -> None:
    settings = {"host": "db.example.com", "database": "d", "user": "u", "password": "p"}
    destination = make_connector(world, role="destination", kind="postgres", config=settings)
    side = {"connector_id": str(destination.pk)}
    first = post(world, [{"stream": "plants", "table": "taken"}], "First", destination=side)
    assert first.status_code == 201
    streams = [{"stream": "creatures"}, {"stream": "plants", "table": "taken"}]
    second = post(world, streams, "Second", destination=side)
    assert errors_of(second) == [("streams.1.table", "taken")]
    assert "“First”" in second.json()["errors"][0]["message"]


def test_a_patch_replaces_the_list_and_keeps_the_settings_of_streams_that_stay(
    world: World,
) -> None:
    created = post(
        world, [{"stream": "creatures", "table": "animals"}, {"stream": "plants", "table": "green"}]
    )
    url = f"{URL}/{created.json()['id']}"
    streams = [{"stream": "plants", "max_rejected_share": 0.5}, {"stream": "generated"}]
    answer = world.client().patch(url, {"config": {"streams": streams}})
    assert tables_of(answer) == ["green", "generated"]
    assert answer.json()["config"]["streams"][0]["max_rejected_share"] == 0.5
    unnamed = world.client().patch(url, {"config": {"streams": [{"table": "x"}]}})
    assert errors_of(unnamed) == [("streams.0.stream", "required")]


def test_the_number_of_streams_is_limited(world: World) -> None:
    names = [f"s{number}" for number in range(MAX_STREAMS + 1)]
    answer = post(world, [{"stream": name} for name in names])
    assert errors_of(answer) == [("streams", "max_length")]


def test_each_stream_has_its_own_transform_and_an_error_names_it(world: World) -> None:
    def with_code(code: str) -> dict[str, Any]:
        return {"stream": "plants", "transforms": [{"kind": "python", "code": code}]}

    first = {"stream": "creatures", "transforms": [{"kind": "python", "code": CODE}]}
    answer = post(world, [first, with_code("def transform(record:\n")])
    assert errors_of(answer) == [("streams.1.transforms.0.code", "invalid_code")]
    created = post(world, [first, with_code(f"{CODE}\n")])
    assert created.status_code == 201
    preview = world.client().post(
        f"{URL}/{created.json()['id']}/preview", {"stream": "nothing", "max_records": 1}
    )
    assert errors_of(preview) == [("stream", "unknown")]


def test_the_preview_reads_the_named_stream(world: World) -> None:
    created = post(world, [{"stream": "creatures"}, {"stream": "plants"}])
    url = f"{URL}/{created.json()['id']}/preview"
    first, second = (
        world.client().post(url, body).json()["records"]
        for body in ({"max_records": 1}, {"stream": "plants", "max_records": 1})
    )
    assert len(first) == len(second) == 1
    assert first != second


def test_the_choice_to_stop_when_a_stream_fails_has_versions(world: World) -> None:
    created = post(world, [{"stream": "creatures"}, {"stream": "plants"}])
    url = f"{URL}/{created.json()['id']}"

    def choose(choice: Any) -> Any:
        return world.client().patch(url, {"config": {"on_stream_failure": choice}})

    assert choose("continue").json()["version"] == 1, "it is the default"
    assert choose("stop").json()["config"]["on_stream_failure"] == "stop"
    diff = world.client("viewer").get(f"{url}/versions/2/diff").json()
    assert [(row["field"], row["before"], row["after"]) for row in diff["changes"]] == [
        ("on_stream_failure", None, "stop")
    ]
    assert choose("later").status_code == 422
    renamed = world.client().patch(url, {"config": {"streams": [{"stream": "plants"}]}})
    assert renamed.json()["config"]["on_stream_failure"] == "stop"
    restored = world.client().post(f"{url}/versions/1/restore").json()
    assert "on_stream_failure" not in restored["config"]


def test_versions_show_what_changed_in_each_stream(world: World) -> None:
    created = post(world, [{"stream": "creatures"}, {"stream": "plants"}])
    url = f"{URL}/{created.json()['id']}"
    streams = [{"stream": "creatures"}, {"stream": "plants", "table": "green"}]
    world.client().patch(url, {"config": {"streams": streams}})
    diff = world.client("viewer").get(f"{url}/versions/2/diff", {"against": 1}).json()
    assert [(row["field"], row["before"], row["after"]) for row in diff["changes"]] == [
        ("streams.1.table", "plants", "green")
    ]
