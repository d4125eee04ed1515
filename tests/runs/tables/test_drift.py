"""Runs find out what has changed at their sources, list it, and announce it to those who follow."""

from __future__ import annotations

from typing import Any

from apps.runs.execute import Worker
from apps.runs.models import Event
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.runs.processes import start_run
from tests.runs.tables.test_many_streams import Shop
from tests.runs.tables.test_many_streams import private_networks as private_networks
from tests.runs.tables.test_many_streams import shop as shop


def changes_of(shop: Shop, pipeline: Any) -> list[tuple[str, str, str]]:
    answer = shop.world.client("viewer").get(f"/api/v1/pipelines/{pipeline.pk}/drift?order=oldest")
    rows = answer.json()["results"]
    return sorted((row["stream"], row["kind"], row["column"]) for row in rows)


def test_a_run_lists_what_has_changed_in_its_tables_and_announces_it(
    shop: Shop, this_worker: Worker
) -> None:
    pipeline = shop.create_pipeline()
    run_pipeline(this_worker, shop.world, pipeline)
    assert changes_of(shop, pipeline) == []
    shop.source.execute(
        "ALTER TABLE shop.customers ADD phone text",
        "ALTER TABLE shop.orders ALTER id TYPE bigint",
        "ALTER TABLE shop.items DROP CONSTRAINT items_pkey",
        "ALTER TABLE shop.places DROP text",
        "ALTER TABLE shop.visits RENAME TO hidden",
    )
    run_id = start_run(shop.world, pipeline)
    work_until_idle(this_worker)
    expected = [
        ("shop.customers", "column_added", "phone"),
        ("shop.items", "key_changed", ""),
        ("shop.orders", "type_changed", "id"),
        ("shop.places", "column_removed", "text"),
        ("shop.visits", "stream_missing", ""),
    ]
    assert changes_of(shop, pipeline) == expected
    with shop.world.scope():
        events = Event.objects.for_org(shop.world.org).filter(kind="drift")
        bodies = list(events.filter(run_id=run_id).values_list("body", "org_sequence"))
    assert sum(body["changes"] for body, _ in bodies) == len(expected)
    assert all(body["pipeline_id"] == str(pipeline.pk) for body, _ in bodies)
    assert all(number is not None for _, number in bodies), "the org's stream has it too"
    shop.source.execute("ALTER TABLE shop.hidden RENAME TO visits")
    run_pipeline(this_worker, shop.world, pipeline)
    assert changes_of(shop, pipeline) == expected[:-1], "the stream is back"


def test_accepting_a_column_lets_a_frozen_stream_run_again(shop: Shop, this_worker: Worker) -> None:
    pipeline = shop.create_pipeline(contract="freeze")
    run_pipeline(this_worker, shop.world, pipeline)
    shop.source.execute("ALTER TABLE shop.orders ADD phone text DEFAULT 'x'")
    run_id = start_run(shop.world, pipeline)
    work_until_idle(this_worker)
    assert shop.run(run_id)["failure"]["class"] == "contract"
    path = f"/api/v1/pipelines/{pipeline.pk}/drift"
    (change,) = shop.world.client().get(path).json()["results"]
    assert (change["effect"], change["run_id"]) == ("fails_runs", str(run_id))
    assert (
        shop.world.client().post(f"{path}/{change['id']}", {"decision": "accept"}).status_code
        == 200
    )
    run_id = run_pipeline(this_worker, shop.world, pipeline)
    assert shop.run(run_id)["status"] == "succeeded"
