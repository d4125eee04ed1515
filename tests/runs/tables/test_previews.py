"""A preview says how many of its records a run would leave out, and why: by the transform, the types and the contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from apps.pipelines.models import Pipeline
from apps.runs.execute import Worker
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.processes import read_run, start_run
from tests.world import World, make_pipeline

NOTES = "def transform(record):\n    if record['id'] % 2:\n        record['note'] = 'new'\n    return record\n"
WORDS = "def transform(record):\n    if record['id'] > 7:\n        record['id'] = 'row ' + str(record['id'])\n    return record\n"
FEW = "def transform(record):\n    return record if record['id'] < 4 else None\n"
NOT_OBJECTS = "def transform(record):\n    return record if record['id'] > 2 else 'text'\n"


@pytest.fixture(autouse=True)
def quick_retries(settings: Settings) -> None:
    settings.RUN_RETRY_WAIT = timedelta(0)


def create_pipeline(world: World, **stream: Any) -> Pipeline:
    pipeline: Pipeline = make_pipeline(
        world,
        config={
            "source": {"kind": "dummy", "config": {"rows": 20}},
            "streams": [{"stream": "generated", **stream}],
            "destination": {"kind": "jsonl", "config": {}},
        },
    )
    return pipeline


def run(world: World, worker: Worker, pipeline: Pipeline) -> None:
    run_id = start_run(world, pipeline)
    work_until_idle(worker)
    assert read_run(world, run_id)["status"] == "succeeded"


def preview(world: World, pipeline: Pipeline, code: str) -> Any:
    body = {"max_records": 10, "transforms": [{"kind": "python", "code": code}]}
    answer = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/preview", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def reasons_of(answer: Any) -> list[tuple[str, int, str]]:
    assert answer["ok"], answer
    return [(each["kind"], each["count"], each["reason"]) for each in answer["left_out"]]


def test_a_preview_says_why_the_transform_leaves_records_out(acme: World) -> None:
    pipeline = create_pipeline(acme)
    answer = preview(acme, pipeline, FEW)
    assert (len(answer["records"]), answer["rejected"], answer["skipped"]) == (3, 0, 7)
    assert reasons_of(answer) == [("skipped", 7, "the transform returned nothing")]


@pytest.mark.parametrize(
    ("contract", "rejected", "skipped"), [(None, 0, 0), ("drop_columns", 0, 0), ("drop_rows", 0, 5)]
)
def test_a_preview_applies_the_contract_to_new_columns(
    acme: World, this_worker: Worker, contract: str | None, rejected: int, skipped: int
) -> None:
    pipeline = create_pipeline(acme, contract=contract)
    assert preview(acme, pipeline, NOTES)["left_out"] == [], "before the first run nothing is new"
    run(acme, this_worker, pipeline)

    answer = preview(acme, pipeline, NOTES)

    assert (answer["rejected"], answer["skipped"]) == (rejected, skipped)
    reason = "the field 'note' has a value, and it is a new column"
    assert reasons_of(answer) == ([("skipped", 5, reason)] if skipped else [])
    assert any("note" in record for record in answer["records"]) is (contract is None)


def test_a_preview_fails_as_a_run_with_a_frozen_contract_would(
    acme: World, this_worker: Worker
) -> None:
    pipeline = create_pipeline(acme, contract="freeze")
    run(acme, this_worker, pipeline)
    answer = preview(acme, pipeline, NOTES)
    assert not answer["ok"]
    assert answer["failure"]["failure_class"] == "contract"
    assert "there are new columns, 'note'" in answer["failure"]["message"]


def test_a_preview_counts_values_that_are_not_of_the_type_of_their_column(
    acme: World, this_worker: Worker
) -> None:
    pipeline = create_pipeline(acme, sync_mode="incremental", write_mode="append")
    run(acme, this_worker, pipeline)

    answer = preview(acme, pipeline, WORDS)

    assert (len(answer["records"]), answer["rejected"]) == (7, 3)
    ((kind, count, reason),) = reasons_of(answer)
    assert (kind, count) == ("rejected", 3)
    assert reason.startswith("the field 'id' has the value 'row 8', and its column is pinned as")
    path = f"/api/v1/pipelines/{pipeline.pk}/state/reset"
    assert acme.client().post(path, {}).status_code == 200
    assert preview(acme, pipeline, WORDS)["left_out"] == [], (
        "after a reset all types are decided anew"
    )


def test_a_preview_of_another_table_decides_the_types_anew(
    acme: World, this_worker: Worker
) -> None:
    pipeline = create_pipeline(acme, contract="drop_rows")
    run(acme, this_worker, pipeline)
    change = {"config": {"streams": [{"stream": "generated", "table": "elsewhere"}]}}
    assert acme.client().patch(f"/api/v1/pipelines/{pipeline.pk}", change).status_code == 200
    assert preview(acme, pipeline, NOTES)["left_out"] == []
