"""The records that a run rejected or skipped: who sees them, for how long, and how they end or do not end the run."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.execute import Worker
from apps.runs.keeping import retention
from apps.runs.models import Run, Status
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.keeping.test_leftovers import delete_pipeline, run_pipeline
from tests.runs.keeping.test_retention import run_folder, set_age
from tests.runs.processes import start_run
from tests.world import World

ROWS = 400
# The first 250 records are skipped, and the next one is rejected.
CODE = "def transform(record):\n    return record if record['id'] > 251 else {} if record['id'] == 251 else None\n"


@pytest.fixture
def pipeline(acme: World) -> Pipeline:
    return make_broken_pipeline(acme, max_rejected_share=0.5)


def make_broken_pipeline(world: World, **values: Any) -> Pipeline:
    pipeline = make_pipeline(world, source={"rows": ROWS})
    change_stream(world, pipeline, transforms=[{"kind": "python", "code": CODE}], **values)
    return pipeline


def change_stream(world: World, pipeline: Pipeline, **values: Any) -> None:
    with world.scope():
        version = PipelineVersion.objects.for_org(world.org).get(pipeline=pipeline)
        version.definition["streams"][0] |= values
        version.save()


def read_left_out(world: World, run_id: UUID, role: str = "member", **query: Any) -> dict[str, Any]:
    answer = world.client(role).get(f"/api/v1/runs/{run_id}/rejected", query)
    assert answer.status_code == 200
    page: dict[str, Any] = answer.json()
    return page


def test_a_run_lists_the_records_that_it_rejected_and_skipped(
    acme: World, this_worker: Worker, pipeline: Pipeline
) -> None:
    run_id = run_pipeline(this_worker, acme, pipeline)

    progress = acme.client("viewer").get(f"/api/v1/runs/{run_id}").json()["progress"]
    counts = [progress[name] for name in ("read", "written", "rejected", "skipped")]
    assert counts == [ROWS, 149, 1, 250]
    assert read_left_out(acme, run_id) == {
        "kind": "rejected",
        "count": 1,
        "kept": 1,
        "results": [
            {
                "number": 0,
                "reason": "the record has no fields",
                "position": "page 1, record 1 returned by the transform",
                "record": "{}",
                "complete": True,
            }
        ],
        "next_offset": None,
        "note": "",
    }
    pages = [read_left_out(acme, run_id, kind="skipped", offset=n) for n in (0, 100, 200)]
    assert [page["next_offset"] for page in pages] == [100, 200, None]
    assert read_left_out(acme, run_id, role="viewer")["results"][0]["record"] is None
    query = {"action": "data.viewed"}
    looks = acme.client("owner").get("/api/v1/org/audit", query).json()["results"]
    assert [event["changes"]["records"][1] for event in looks] == ["skipped", "rejected"]
    assert {event["object_label"] for event in looks} == {pipeline.name}
    records = [record for page in pages for record in page["results"]]
    assert [record["position"] for record in records] == [
        f"page 1, record {n}" for n in range(1, 251)
    ]
    assert '"id": 250' in records[-1]["record"]


def test_a_viewer_sees_the_reasons_but_not_the_records(
    acme: World, this_worker: Worker, pipeline: Pipeline
) -> None:
    run_id = run_pipeline(this_worker, acme, pipeline)
    page = read_left_out(acme, run_id, "viewer")
    assert page["results"][0]["reason"] == "the record has no fields"
    assert page["results"][0]["record"] is None
    assert page["note"] == "The records are shown to members who may look at data."
    log = acme.client("viewer").get(f"/api/v1/runs/{run_id}/logs").json()["lines"]
    assert any(
        "Rejected a record: the record has no fields (page 1" in line["message"] for line in log
    )


def test_a_viewer_does_not_see_the_value_that_did_not_fit(
    acme: World, this_worker: Worker, pipeline: Pipeline
) -> None:
    for value in ("1", "'canary' if record['id'] == 251 else 1"):
        code = f"def transform(record):\n    return {{**record, 'v': {value}}}\n"
        change_stream(acme, pipeline, transforms=[{"kind": "python", "code": code}])
        run_id = run_pipeline(this_worker, acme, pipeline)
    (seen,) = read_left_out(acme, run_id)["results"]
    assert seen["reason"].startswith("the field 'v' has the value 'canary', and its column")
    page = acme.client("viewer").get(f"/api/v1/runs/{run_id}/rejected")
    log = acme.client("viewer").get(f"/api/v1/runs/{run_id}/logs")
    for answer in (page, log):
        assert b"the field 'v' has a value that does not fit, and its column" in answer.content
        assert b"canary" not in answer.content


def test_records_that_the_contract_leaves_out_are_shown_and_a_frozen_stream_fails(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": ROWS})
    run_pipeline(this_worker, acme, pipeline)
    code = "def transform(record):\n    return {**record, 'added': 1} if record['id'] == 3 else record\n"
    transforms = [{"kind": "python", "code": code}]
    change_stream(acme, pipeline, transforms=transforms, contract="drop_rows")
    run_id = run_pipeline(this_worker, acme, pipeline)
    (seen,) = read_left_out(acme, run_id, kind="skipped")["results"]
    assert seen["reason"] == "the field 'added' has a value, and it is a new column"
    assert '"added": 1' in seen["record"]
    change_stream(acme, pipeline, contract="freeze")
    run_id = start_run(acme, pipeline)
    work_until_idle(this_worker)
    run = acme.client("viewer").get(f"/api/v1/runs/{run_id}").json()
    assert (run["status"], run["failure"]["class"]) == ("failed", "contract")
    assert "there are new columns, 'added'" in run["failure"]["message"]
    assert "(contract of the stream)" in run["failure"]["next_step"]


def test_an_unknown_kind_or_offset_is_refused_with_its_name(world: World) -> None:
    run_id = start_run(world, make_pipeline(world))
    for name, value in (("kind", "lost"), ("offset", -1), ("limit", "1")):
        answer = world.client().get(f"/api/v1/runs/{run_id}/rejected", {name: value})
        assert answer.status_code == (200 if name == "limit" else 400)


def test_the_records_are_removed_with_the_log_and_a_note_says_so(
    acme: World, this_worker: Worker, pipeline: Pipeline
) -> None:
    run_id = run_pipeline(this_worker, acme, pipeline)
    assert (run_folder(acme, run_id) / "left-out").exists()
    set_age(acme, run_id, 91)
    retention.remove_expired_data()
    assert not run_folder(acme, run_id).exists()
    page = read_left_out(acme, run_id)
    assert (page["count"], page["kept"], page["results"]) == (1, 0, [])
    assert "were removed together with the log" in page["note"]


def test_the_records_are_removed_with_the_pipeline(
    acme: World, this_worker: Worker, pipeline: Pipeline
) -> None:
    run_id = run_pipeline(this_worker, acme, pipeline)
    delete_pipeline(acme, pipeline)
    work_until_idle(this_worker)
    from apps.runs.outputs import leftovers

    leftovers.remove(org_id=acme.org.pk, pipeline_id=pipeline.pk)
    assert not run_folder(acme, run_id).exists()


def test_a_retry_publishes_what_was_read_after_the_limit_was_raised(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_broken_pipeline(acme)
    run_id = start_run(acme, pipeline)
    work_until_idle(this_worker)
    client = acme.client()
    failure = client.get(f"/api/v1/runs/{run_id}").json()["failure"]
    assert failure["class"] == "contract"
    assert "1 of 400 records were rejected, which is 0.25%" in failure["message"]
    assert "max_rejected_share" in failure["next_step"]

    changed = client.patch(
        f"/api/v1/pipelines/{pipeline.pk}",
        {"config": {"streams": [{"max_rejected_share": 0.01}]}},
        format="json",
    )
    assert changed.status_code == 200, changed.content
    assert changed.json()["config"]["streams"][0]["max_rejected_share"] == 0.01
    assert client.post(f"/api/v1/runs/{run_id}/retry", {}, format="json").status_code == 200
    work_until_idle(this_worker)
    with acme.scope():
        run = Run.objects.for_org(acme.org).get(pk=run_id)
    assert (run.status, run.records_written, run.version) == (Status.SUCCEEDED, 149, 1)
    log = client.get(f"/api/v1/runs/{run_id}/logs").json()["lines"]
    assert any("publishing the staged data" in line["message"] for line in log)
