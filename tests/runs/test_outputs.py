"""Every listed output of a run can be downloaded, even after later runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import default_storage

from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.execute import Worker
from apps.runs.models import Output
from apps.runs.outputs import storage
from tests.runs.conftest import make_pipeline
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.world import World


def list_outputs(world: World, run_id: UUID) -> list[dict[str, Any]]:
    """Return the outputs of a run. Also check that each can be downloaded and has the listed size."""
    client = world.client("member")
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


def test_a_database_file_is_an_output_of_each_run_that_has_appended_to_it(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(
        acme, source={"rows": 10}, destination={"kind": "duckdb"}, write_mode="append"
    )
    first_run = run_pipeline(this_worker, acme, pipeline)

    second_run = run_pipeline(this_worker, acme, pipeline)

    [first], [second] = list_outputs(acme, first_run), list_outputs(acme, second_run)
    assert (first["name"], first["bytes"]) == (second["name"], second["bytes"])


FIRST_ROWS, NEXT_ROWS = '{"id": 1, "x": 1}\n{"id": 2, "x": 2}\n', '{"id": 3, "x": 1.5}\n'


def upload(world: World, text: str) -> None:
    storage.write(f"{storage.files_root(world.org.pk).prefix}/lines.jsonl", text.encode())


def files_on_disk(world: World, pipeline: Pipeline) -> dict[str, int]:
    """Return the visible files of the pipeline and their sizes. The manifest and the locks are no outputs."""
    folder = Path(default_storage.path(storage.data_root(world.org.pk, pipeline.pk).prefix))
    return {
        str(file.relative_to(folder)): file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and not file.name.endswith(("manifest.json", ".lock"))
    }


def listed_files(world: World, pipeline: Pipeline) -> dict[str, int]:
    """Return the files that all runs of the pipeline list, and their sizes. No file may be listed twice."""
    prefix = storage.data_root(world.org.pk, pipeline.pk).prefix
    with world.scope():
        outputs = list(Output.objects.for_org(world.org).filter(run__pipeline=pipeline))
    files = {output.key.removeprefix(f"{prefix}/"): output.bytes for output in outputs}
    assert len(files) == len(outputs)
    return files


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("mode", ["append", "replace"])
def test_the_listed_files_are_those_on_the_disk_after_each_run(
    acme: World, this_worker: Worker, kind: str, mode: str
) -> None:
    """In the second run a column of integers becomes one of numbers, so the file of the first run is rewritten."""
    pipeline = make_pipeline(
        acme,
        source={"path": "lines.jsonl"},
        source_kind="files",
        stream="lines",
        destination={"kind": kind},
        write_mode=mode,
    )
    runs = []
    for text in (FIRST_ROWS, NEXT_ROWS, FIRST_ROWS, NEXT_ROWS):
        upload(acme, text)
        runs.append(run_pipeline(this_worker, acme, pipeline))
        assert listed_files(acme, pipeline) == files_on_disk(acme, pipeline)

    row_counts = [[output["rows"] for output in list_outputs(acme, run)] for run in runs]
    assert row_counts == ([[2], [1], [2], [1]] if mode == "append" else [[], [], [], [1]])
