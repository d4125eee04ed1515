"""Two streams do not get the same table by default, and pipelines of older releases keep their tables."""

from __future__ import annotations

from typing import Any

import pytest

from apps.pipelines.definition.names import TABLE_PATTERN, default_table
from apps.pipelines.models import PipelineVersion
from tests.pipelines.test_pipelines import URL, config_with_secret, create_pipeline, error_codes
from tests.world import World

LONG = "measurements_of_the_temperature_of_the_water_of_the_northern_sea"


@pytest.mark.parametrize(
    ("stream", "table"),
    [
        ("orders", "orders"),
        ("public.orders", "orders"),
        ("sales.orders", "sales_orders"),
        ("/v1/orders", "v1_orders"),
        ("Sheet 1", "Sheet_1"),
        ("2026 plan", "_2026_plan"),
        ("a-b", "a-b"),
        ("__x", "__x"),
        ("航班", "航班"),
    ],
)
def test_the_default_table_is_the_name_of_the_stream_with_its_schema(
    stream: str, table: str
) -> None:
    assert default_table(stream) == table


@pytest.mark.parametrize(
    "streams",
    [
        ["sales.orders", "hr.orders"],
        ['"a.b"', "a.b"],
        ["Orders", "orders", "ORDERS"],
        ["a-b", "a_b", "a+b", "a:b", "a::b"],
        [LONG + "_1", LONG + "_2", LONG],
        ["é" * 40 + "1", "é" * 40 + "2"],
        ["!!!", "???", "records"],
    ],
)
def test_streams_with_similar_names_have_valid_default_tables_of_their_own(
    streams: list[str],
) -> None:
    tables = [default_table(stream) for stream in streams]
    assert len(set(tables)) == len(streams)
    assert all(TABLE_PATTERN.fullmatch(table) for table in tables)
    assert max(len(table.encode()) for table in tables) <= 63


@pytest.mark.parametrize("table", ["missing", None, "orders"])
def test_a_pipeline_of_an_older_release_keeps_its_default_table(world: World, table: Any) -> None:
    """`orders` was the default table of `sales.orders`."""
    body = config_with_secret()
    body["streams"] = [{"stream": "sales.orders", "table": "orders"}]
    pipeline = create_pipeline(world, config=body)
    (stream,) = body["streams"]
    body["streams"] = [{**stream, "table": table, "write_mode": "append"}]
    if table == "missing":
        del body["streams"][0]["table"]
    answer = world.client().put(f"{URL}/{pipeline['id']}", {"name": "Orders", "config": body})
    assert answer.status_code == 200, answer.content
    assert answer.json()["config"]["streams"][0]["table"] == "orders"


def test_a_table_that_a_user_chose_is_replaced_by_the_default_if_a_put_names_none(
    world: World,
) -> None:
    body = config_with_secret()
    body["streams"] = [{"stream": "sales.orders", "table": "mine"}]
    pipeline = create_pipeline(world, config=body)
    body["streams"] = [{"stream": "sales.orders"}]
    answer = world.client().put(f"{URL}/{pipeline['id']}", {"name": "Orders", "config": body})
    assert answer.json()["config"]["streams"][0]["table"] == "sales_orders"


def test_a_pipeline_that_reads_another_stream_gets_its_default_table(world: World) -> None:
    body = config_with_secret()
    body["streams"] = [{"stream": "sales.orders", "table": "orders"}]
    pipeline = create_pipeline(world, config=body)
    change = {"config": {"streams": [{"stream": "hr.orders"}]}}
    answer = world.client().patch(f"{URL}/{pipeline['id']}", change)
    assert answer.json()["config"]["streams"][0]["table"] == "hr_orders"
    with world.scope():
        versions = PipelineVersion.objects.for_org(world.org).order_by("number")
        tables = [
            row["streams"][0]["table"] for row in versions.values_list("definition", flat=True)
        ]
    assert tables == ["orders", "hr_orders"]


@pytest.mark.parametrize(
    "table", ["x" * 64, "é" * 32, "sales." + "é" * 32, "a.b.c", "a b", "1a", 'a"b', "a/b"]
)
def test_a_name_that_no_destination_can_store_is_refused(world: World, table: str) -> None:
    body = {"name": "Orders", "config": {**config_with_secret(), "streams": [{"stream": "a", "table": table}]}}  # fmt: skip
    answer = world.client().post(URL, body)
    assert error_codes(answer) == {"streams.0.table": "invalid"}


@pytest.mark.parametrize("table", ["x" * 63, "é" * 31, "sales." + "x" * 63])
def test_a_name_of_at_most_63_bytes_is_accepted(world: World, table: str) -> None:
    body = {**config_with_secret(), "streams": [{"stream": "a", "table": table}]}
    assert create_pipeline(world, config=body)["config"]["streams"][0]["table"] == table
