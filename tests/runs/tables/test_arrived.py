"""A member looks at the records that runs have written to their destinations. Each look is in the audit log."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings

from apps.orgs.models import AuditEvent, Domain
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.execute import Worker
from apps.runs.models import Event
from tests.runs.conftest import make_pipeline
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.runs.test_outputs import change_table
from tests.runs.test_rejected import change_stream
from tests.world import World, make_world

FIRST = ["1", "record-1", "beta", "79.19", "false", "2024-01-01T00:01:00.000000+00:00"]


def rows_of(world: World, pipeline: Pipeline, role: str = "member", **query: Any) -> Any:
    return world.client(role).get(f"/api/v1/pipelines/{pipeline.pk}/rows", query)


def events_of(world: World) -> list[tuple[str, str, str]]:
    """Return the actor, the action and the stream of the events of looks, in order."""
    with world.scope():
        rows = AuditEvent.objects.for_org(world.org).filter(action__startswith="data.")
        return [
            (row.actor_label, row.action, (row.changes.get("stream") or ["", ""])[1])
            for row in rows.order_by("at", "id")
        ]


@pytest.mark.parametrize("kind", ["duckdb", "parquet", "csv", "jsonl"])
def test_a_member_looks_at_the_records_that_arrived(
    acme: World, this_worker: Worker, kind: str
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 120}, destination={"kind": kind})
    run_id = run_pipeline(this_worker, acme, pipeline)

    page = rows_of(acme, pipeline, limit=100).json()

    assert (page["ok"], page["failure"]) == (True, None)
    assert [column["name"] for column in page["columns"]][:3] == ["id", "name", "category"]
    assert page["columns"][0]["type"] == "integer"
    assert (len(page["records"]), page["total"], page["next_offset"]) == (100, 120, 100)
    assert (page["run_id"], page["table"], page["destination"]) == (str(run_id), "rows", kind)
    rest = rows_of(acme, pipeline, offset=100, look=page["look"]).json()
    records = page["records"] + rest["records"]
    # With a primary key, DuckDB stores the last record of each key in an order of its own.
    assert FIRST in records
    ids = [row[0] for row in records]
    assert sorted(ids, key=str) == sorted(map(str, range(1, 121)))
    assert rest["next_offset"] is None
    of_run = acme.client().get(f"/api/v1/runs/{run_id}/rows").json()
    assert of_run["records"] == page["records"][:50]


def file_of(world: World, run_id: UUID) -> str:
    """Return the path of the run's file."""
    (output,) = world.client("viewer").get(f"/api/v1/runs/{run_id}/outputs").json()["results"]
    return f"/api/v1/runs/{run_id}/outputs/{output['name']}"


def test_a_stranger_gets_404_and_a_viewer_403(acme: World, this_worker: Worker) -> None:
    pipeline = make_pipeline(acme, source={"rows": 3})
    run_id = run_pipeline(this_worker, acme, pipeline)
    paths = [f"/api/v1/pipelines/{pipeline.pk}/rows", f"/api/v1/runs/{run_id}/rows"]
    paths.append(file_of(acme, run_id))
    for path in paths:
        assert make_world("Other").client("owner").get(path).status_code == 404
        answer = acme.client("viewer").get(path)
        assert answer.status_code == 403
        assert "data.view" in answer.json()["detail"]
        assert acme.client("member").get(path).status_code == 200


def test_a_member_of_the_domain_looks_at_its_records_and_a_viewer_elsewhere_does_not(
    acme: World, this_worker: Worker
) -> None:
    with acme.scope():
        domain = Domain.unscoped.create(org=acme.org, name="Ours")
    ours, others = (
        make_pipeline(acme, source={"rows": 2}, domain_id=domain_id)
        for domain_id in (domain.pk, None)
    )
    files = [file_of(acme, run_pipeline(this_worker, acme, each)) for each in (ours, others)]
    viewers = acme.client("admin").get("/api/v1/org/members").json()["results"]
    (viewer,) = [member["id"] for member in viewers if member["role"] == "viewer"]
    path = f"/api/v1/org/domains/{domain.pk}/members/{viewer}"
    assert acme.client("admin").put(path, {"role": "member"}).status_code < 300
    assert rows_of(acme, ours, "viewer").status_code == 200
    assert rows_of(acme, others, "viewer").status_code == 403
    assert [acme.client("viewer").get(path).status_code for path in files] == [200, 403]


def test_each_look_is_audited_once_and_not_once_per_page(acme: World, this_worker: Worker) -> None:
    pipeline = make_pipeline(acme, source={"rows": 30}, streams={"generated": "a", "plants": "b"})
    run_id = run_pipeline(this_worker, acme, pipeline)
    look = rows_of(acme, pipeline, limit=10, look="").json()["look"]
    member = acme.users["member"].email  # type: ignore[index]
    assert rows_of(acme, pipeline).json()["streams"] == ["generated", "plants"]
    assert events_of(acme) == [(member, "data.viewed", "generated")] * 2
    for offset in (10, 20):
        rows_of(acme, pipeline, limit=10, offset=offset, look=look)
    rows_of(acme, pipeline, column="name", limit=1, look=look)
    assert len(events_of(acme)) == 2
    rows_of(acme, pipeline, stream="plants", look=look)  # of another stream
    rows_of(acme, pipeline, "admin", look=look)  # by somebody else
    rows_of(acme, pipeline, offset=10)  # without a token
    rows_of(acme, pipeline, offset=10, look=look[:-1] + ("A" if look[-1] != "A" else "B"))
    assert [event[2] for event in events_of(acme)[2:]] == [
        "plants",
        "generated",
        "generated",
        "generated",
    ]
    (output, *_) = acme.client().get(f"/api/v1/runs/{run_id}/outputs").json()["results"]
    acme.client().get(f"/api/v1/runs/{run_id}/outputs/{output['name']}")
    assert events_of(acme)[-1][:2] == (member, "data.downloaded")


def test_nothing_has_arrived_before_the_first_run(acme: World) -> None:
    page = rows_of(acme, make_pipeline(acme)).json()
    assert (page["ok"], page["run_id"], page["records"]) == (True, None, [])
    assert events_of(acme) == []


def test_a_table_that_no_run_has_written_is_not_shown(acme: World, this_worker: Worker) -> None:
    """A change of the pipeline alone shows no other table of the destination."""
    pipeline = make_pipeline(acme, source={"rows": 3}, destination={"kind": "duckdb"})
    run_pipeline(this_worker, acme, pipeline)
    change_table(acme, pipeline, "_drover_publications")
    assert rows_of(acme, pipeline).json()["table"] == "rows"
    assert rows_of(acme, pipeline, stream="other").json()["run_id"] is None


def test_a_destination_that_keeps_no_records_says_what_is_possible(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 3}, destination={"kind": "logger"})
    run_pipeline(this_worker, acme, pipeline)
    answer = rows_of(acme, pipeline)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_readable")
    assert "The log of each run" in answer.json()["detail"]
    assert "PostgreSQL" in answer.json()["detail"]


def test_a_run_says_whether_the_destination_that_it_has_written_to_can_be_read(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 3}, destination={"kind": "logger"})
    first = run_pipeline(this_worker, acme, pipeline)
    change_destination(acme, pipeline, "parquet")
    second = run_pipeline(this_worker, acme, pipeline)
    with acme.scope():
        bodies = [
            body["records_readable"]
            for run_id in (first, second)
            for body in Event.objects.for_org(acme.org)
            .filter(run_id=run_id, kind="run")
            .values_list("body", flat=True)
        ]
    assert (bodies[0], bodies[-1]) == (False, True)
    client = acme.client("viewer")
    runs = [client.get(f"/api/v1/runs/{run_id}").json() for run_id in (first, second)]
    assert [run["records_readable"] for run in runs] == [False, True]


def change_destination(world: World, pipeline: Pipeline, kind: str) -> None:
    """Add a version with a destination of this kind."""
    with world.scope():
        version = PipelineVersion.objects.for_org(world.org).get(pipeline=pipeline)
        version.pk, version.number = uuid4(), version.number + 1
        version.definition["destination"]["kind"] = kind
        version.save(force_insert=True)
        pipeline.version, pipeline.destination_kind = version.number, kind
        pipeline.save()


def test_a_destination_that_cannot_be_read_answers_with_the_reason(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 3}, destination={"kind": "duckdb"})
    run_pipeline(this_worker, acme, pipeline)
    folder = Path(settings.STORAGE_OPTIONS["local"]["location"]) / f"org/{acme.org.pk}/data"
    for file in folder.rglob("*.duckdb"):
        file.unlink()
    page = rows_of(acme, pipeline).json()
    assert page["ok"] is False
    assert page["failure"]["message"] == "The database file does not exist any more"
    assert events_of(acme) == []


def test_the_token_of_a_page_that_showed_nothing_does_not_hide_the_next_look(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 3})
    run_pipeline(this_worker, acme, pipeline)
    failed = rows_of(acme, pipeline, column="unknown").json()
    assert failed["ok"] is False
    assert events_of(acme) == []
    shown = rows_of(acme, pipeline, look=failed["look"]).json()
    assert len(shown["records"]) == 3
    assert len(events_of(acme)) == 1


@pytest.mark.parametrize(
    "query", [{"offset": 100_001}, {"offset": -1}, {"limit": 201}, {"limit": 0}, {"column": ""}]
)
def test_a_page_is_bounded(acme: World, query: dict[str, Any]) -> None:
    assert rows_of(acme, make_pipeline(acme), **query).status_code in {400, 422}


def test_protected_fields_are_protected_where_they_arrived(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 3})
    rules = {"rules": [{"field": "name", "protect": "redact"}], "others": "keep"}
    change_stream(acme, pipeline, fields=rules)
    run_pipeline(this_worker, acme, pipeline)
    page = rows_of(acme, pipeline).json()
    assert [row[1] for row in page["records"]] == ["[redacted]"] * 3


def test_a_page_of_any_size_takes_the_same_number_of_queries(
    acme: World, this_worker: Worker, django_assert_max_num_queries: Any
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 3})
    for _ in range(3):
        run_pipeline(this_worker, acme, pipeline)
    look = rows_of(acme, pipeline).json()["look"]
    with django_assert_max_num_queries(25):
        rows_of(acme, pipeline, look=look)
