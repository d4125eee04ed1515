"""The listed outputs of a run can be downloaded, even after later runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.execute import Worker
from tests.runs.conftest import make_pipeline
from tests.runs.keeping.test_leftovers import run
from tests.world import World


def listed(world: World, run_id: UUID) -> list[dict[str, Any]]:
    """Return the outputs of a run; each is downloaded and has the listed size."""
    client = world.client("viewer")
    outputs: list[dict[str, Any]] = client.get(f"/api/v1/runs/{run_id}/outputs").json()["results"]
    for output in outputs:
        answer: Any = client.get(f"/api/v1/runs/{run_id}/outputs/{output['name']}")
        assert answer.status_code == 200
        assert len(b"".join(answer.streaming_content)) == output["bytes"]
    return outputs


def change_table(world: World, pipeline: Pipeline, table: str) -> None:
    with world.scope():
        version = PipelineVersion.objects.for_org(world.org).get(pipeline=pipeline)
        version.definition["streams"][0]["table"] = table
        version.save()


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_a_run_whose_files_were_replaced_lists_them_no_more(
    acme: World, this_worker: Worker, kind: str
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250}, destination={"kind": kind})
    first = run(this_worker, acme, pipeline)
    assert listed(acme, first)

    second = run(this_worker, acme, pipeline)

    assert listed(acme, first) == []
    assert sum(output["rows"] for output in listed(acme, second)) == 250


def test_a_run_keeps_listing_files_that_later_runs_did_not_replace(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250}, write_mode="append")
    first = run(this_worker, acme, pipeline)
    before = listed(acme, first)

    second = run(this_worker, acme, pipeline)

    assert listed(acme, first) == before != []
    assert listed(acme, second)


def test_files_of_another_name_or_pipeline_stay_listed(acme: World, this_worker: Worker) -> None:
    other = run(this_worker, acme, make_pipeline(acme, source={"rows": 10}))
    pipeline = make_pipeline(acme, source={"rows": 10}, table="flights")
    first = run(this_worker, acme, pipeline)
    change_table(acme, pipeline, "flights 2")

    run(this_worker, acme, pipeline)

    assert len(listed(acme, first)) == len(listed(acme, other)) == 1


def test_a_database_file_is_an_output_of_the_run_that_wrote_it_last(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(
        acme, source={"rows": 10}, destination={"kind": "duckdb"}, write_mode="append"
    )
    first = run(this_worker, acme, pipeline)

    second = run(this_worker, acme, pipeline)

    assert listed(acme, first) == []
    assert len(listed(acme, second)) == 1
