"""Every listed output of a run can be downloaded, even after later runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.execute import Worker
from tests.runs.conftest import make_pipeline
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.world import World


def list_outputs(world: World, run_id: UUID) -> list[dict[str, Any]]:
    """Return the outputs of a run. Also check that each can be downloaded and has the listed size."""
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
def test_files_that_a_later_run_replaced_are_not_listed(
    acme: World, this_worker: Worker, kind: str
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250}, destination={"kind": kind})
    first_run = run_pipeline(this_worker, acme, pipeline)
    assert list_outputs(acme, first_run)

    second_run = run_pipeline(this_worker, acme, pipeline)

    assert list_outputs(acme, first_run) == []
    assert sum(output["rows"] for output in list_outputs(acme, second_run)) == 250


def test_files_that_later_runs_did_not_replace_are_still_listed(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 250}, write_mode="append")
    first_run = run_pipeline(this_worker, acme, pipeline)
    old_outputs = list_outputs(acme, first_run)

    second_run = run_pipeline(this_worker, acme, pipeline)

    assert list_outputs(acme, first_run) == old_outputs != []
    assert list_outputs(acme, second_run)


def test_files_with_another_name_or_of_another_pipeline_are_still_listed(
    acme: World, this_worker: Worker
) -> None:
    other_run = run_pipeline(this_worker, acme, make_pipeline(acme, source={"rows": 10}))
    pipeline = make_pipeline(acme, source={"rows": 10}, table="flights")
    first_run = run_pipeline(this_worker, acme, pipeline)
    change_table(acme, pipeline, "flights 2")

    run_pipeline(this_worker, acme, pipeline)

    assert len(list_outputs(acme, first_run)) == len(list_outputs(acme, other_run)) == 1


def test_a_database_file_is_an_output_of_the_run_that_wrote_it_last(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(
        acme, source={"rows": 10}, destination={"kind": "duckdb"}, write_mode="append"
    )
    first_run = run_pipeline(this_worker, acme, pipeline)

    second_run = run_pipeline(this_worker, acme, pipeline)

    assert list_outputs(acme, first_run) == []
    assert len(list_outputs(acme, second_run)) == 1
