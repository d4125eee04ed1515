"""Members can start, read and cancel runs over HTTP. A viewer can only read them, and a stranger gets 404."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.orgs.models import Domain
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from apps.runs import export, queries
from apps.runs.models import Run
from tests.runs.conftest import make_pipeline
from tests.world import World


def test_a_run_that_a_member_has_started_is_pending(world: World, pipeline: Pipeline) -> None:
    answer = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})

    assert answer.status_code == 201, answer.content
    run = answer.json()
    assert run["status"] == "pending"
    assert run["pipeline"] == {"id": str(pipeline.pk), "name": "flights"}
    assert (run["waiting_reason"], run["place_in_line"]) == ("waiting for a worker", 1)
    read_run = world.client(Role.VIEWER).get(f"/api/v1/runs/{run['id']}").json()
    assert read_run == run
    listed = world.client(Role.VIEWER).get("/api/v1/runs").json()
    assert [row["id"] for row in listed["results"]] == [run["id"]]
    assert "attempts" not in listed["results"][0]


def test_a_run_tells_who_has_started_it_until_the_account_is_deleted(
    world: World, pipeline: Pipeline
) -> None:
    person = world.users[Role.MEMBER]
    person.name = "Dana"
    person.save()
    run = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).json()
    assert (run["triggered_by"], run["triggered_by_name"]) == (person.email, "Dana")

    with world.scope():  # as the deletion of the account does
        Run.objects.for_org(world.org).update(triggered_by=None)
    (listed,) = world.client(Role.VIEWER).get("/api/v1/runs").json()["results"]
    assert (listed["triggered_by"], listed["triggered_by_name"]) == (None, None)


def test_the_list_of_runs_needs_as_many_queries_for_many_people_as_for_one(world: World) -> None:
    client = world.client(Role.VIEWER)

    def count_queries(roles: Sequence[Role]) -> int:
        for role in roles:
            world.client(role).post(f"/api/v1/pipelines/{make_pipeline(world).pk}/run", {})
        with CaptureQueriesContext(connection) as captured:
            client.get("/api/v1/runs")
        return len(captured)

    assert count_queries([Role.MEMBER]) == count_queries([Role.ADMIN, Role.OWNER, Role.MEMBER])


def test_a_second_run_of_a_pipeline_is_rejected_and_the_error_names_the_first_run(
    world: World, pipeline: Pipeline
) -> None:
    first_run = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).json()

    answer = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})

    assert answer.status_code == 409
    assert answer.json()["code"] == "run_in_progress"
    assert answer.json()["run_id"] == first_run["id"]


def test_a_disabled_pipeline_runs_only_with_force(world: World) -> None:
    pipeline = make_pipeline(world, enabled=False)

    refused = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    forced = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {"force": True})

    assert refused.status_code == 423
    assert forced.status_code == 201


def test_a_viewer_may_neither_start_nor_cancel_a_run(world: World, pipeline: Pipeline) -> None:
    run = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).json()
    viewer_client = world.client(Role.VIEWER)

    assert viewer_client.post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).status_code == 403
    assert viewer_client.post(f"/api/v1/runs/{run['id']}/cancel", {}).status_code == 403


def test_a_run_of_another_org_gets_the_same_404_as_an_unknown_run(
    world: World, stranger: World, pipeline: Pipeline
) -> None:
    run = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).json()
    stranger_client = stranger.client()

    for path in ("", "/logs"):
        foreign = stranger_client.get(f"/api/v1/runs/{run['id']}{path}")
        unknown = stranger_client.get(f"/api/v1/runs/{uuid4()}{path}")
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
    assert stranger_client.post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).status_code == 404
    assert stranger_client.get("/api/v1/runs").json()["results"] == []


def test_a_pending_run_is_cancelled_at_once_and_can_be_retried(
    world: World, pipeline: Pipeline
) -> None:
    run = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).json()

    cancelled = world.client().post(f"/api/v1/runs/{run['id']}/cancel", {})
    cancelled_again = world.client().post(f"/api/v1/runs/{run['id']}/cancel", {})
    retried = world.client().post(f"/api/v1/runs/{run['id']}/retry", {})

    assert cancelled.json()["status"] == "cancelled"
    assert cancelled_again.status_code == 409
    assert retried.json()["status"] == "pending"
    assert retried.json()["trigger"] == "retry"
    assert retried.json()["finished_at"] is None


def test_a_pipeline_stores_its_last_run(world: World, pipeline: Pipeline) -> None:
    run = world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {}).json()

    with world.scope():
        pipeline.refresh_from_db()
    assert (str(pipeline.last_run_id), pipeline.last_run_status) == (run["id"], "pending")


def test_runs_are_searched_by_pipeline_and_failure_and_a_stranger_finds_none(
    world: World, stranger: World
) -> None:
    flights, orders = make_pipeline(world, name="Flights"), make_pipeline(world, name="orders_1")
    for pipeline in (flights, orders):
        world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    with world.scope():
        runs = Run.objects.for_org(world.org)
        runs.filter(pipeline=flights).update(
            failure_class="source", failure_message="Connection refused"
        )

    def found(text: str, by: World = world) -> list[str]:
        answer = by.client(Role.VIEWER).get("/api/v1/runs", {"q": text}).json()
        assert answer["count"] == len(answer["results"])
        return sorted(row["pipeline"]["name"] for row in answer["results"])

    assert found("") == ["Flights", "orders_1"]
    assert found("flight") == found("REFUSED") == ["Flights"]
    assert found("s_1") == ["orders_1"]
    assert found("%") == []
    assert found("flight", by=stranger) == []


def _export(world: World, role: Role = Role.VIEWER, **query: str) -> list[dict[str, str]]:
    answer: Any = world.client(role).get("/api/v1/runs/export", query)
    assert answer.status_code == 200, answer.content
    assert answer["Content-Disposition"] == 'attachment; filename="runs.csv"'
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_the_dashboard_names_the_same_limit_of_an_export() -> None:
    page = (settings.BASE_DIR / "frontend/src/features/runs/runs-page.tsx").read_text()
    assert f"const MAX_EXPORTED = {export.MAX_RUNS:_};" in page


def test_the_runs_that_match_are_exported_newest_first_without_formulas(
    world: World, stranger: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks are smaller than the list, and no run is left out or repeated between them."""
    monkeypatch.setattr(export, "CHUNK_SIZE", 2)
    for name in ("one", "=1+1", "three", "four", "five"):
        pipeline = make_pipeline(world, name=name)
        world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
    with world.scope():
        runs = Run.objects.for_org(world.org)
        runs.filter(pipeline__name="three").update(
            status="failed", failure_class="source", failure_message="@no"
        )
        runs.filter(pipeline__name__in=("one", "four")).update(created_at=timezone.now())
    listed = world.client().get("/api/v1/runs").json()["results"]
    rows = _export(world)
    assert [row["id"] for row in rows] == [run["id"] for run in listed]
    assert {row["pipeline"] for row in rows} == {"one", "'=1+1", "three", "four", "five"}
    (failed,) = _export(world, status="failed")
    assert (failed["pipeline"], failed["failure"], failed["message"]) == ("three", "source", "'@no")
    assert [row["pipeline"] for row in _export(world, q="fiv")] == ["five"]
    assert _export(stranger) == []


def test_an_export_of_runs_ends_after_the_newest_ones_that_one_file_may_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK_SIZE", 2)
    monkeypatch.setattr(export, "MAX_RUNS", 3)
    for _ in range(4):
        world.client().post(f"/api/v1/pipelines/{make_pipeline(world).pk}/run", {})
    listed = world.client().get("/api/v1/runs").json()["results"]
    assert [row["id"] for row in _export(world)] == [run["id"] for run in listed[:3]]


def test_a_key_of_a_domain_exports_only_the_runs_of_its_domain(world: World) -> None:
    with world.scope():
        domain = Domain.unscoped.create(org=world.org, name="Sales")
    for fields in ({"name": "sold", "domain_id": domain.pk}, {"name": "other"}):
        world.client().post(f"/api/v1/pipelines/{make_pipeline(world, **fields).pk}/run", {})
    body = {"name": "Sales", "role": "viewer", "domain_id": str(domain.pk)}
    key = world.client(Role.ADMIN).post("/api/v1/org/api-keys", body).json()["key"]
    answer: Any = APIClient(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/runs/export")
    text = b"".join(answer.streaming_content).decode()
    assert "sold" in text
    assert "other" not in text


def test_a_search_reads_the_messages_of_the_newest_failed_runs_that_other_filters_leave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SEARCHED_FAILURES", 2)
    names = ("oldest", "older", "newest", "successful")
    for name in names:
        pipeline = make_pipeline(world, name=name)
        world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})
        with world.scope():
            run = Run.objects.for_org(world.org).filter(pipeline=pipeline)
            if name != "successful":
                run.update(failure_class="source", failure_message="Connection refused")

    def found(**query: str) -> list[str]:
        answer = world.client(Role.VIEWER).get("/api/v1/runs", query).json()
        return [row["pipeline"]["name"] for row in answer["results"]]

    assert found(q="refused") == ["newest", "older"]
    assert found(q="oldest") == ["oldest"]  # the names of all pipelines are searched
    with world.scope():
        newest = Run.objects.for_org(world.org).get(pipeline__name="newest")
    assert found(q="refused", until=newest.created_at.isoformat()) == ["older", "oldest"]


def test_unknown_or_invalid_filters_are_rejected_with_their_names(world: World) -> None:
    client = world.client()

    assert client.get("/api/v1/runs?color=red").json()["errors"][0]["field"] == "color"
    assert client.get("/api/v1/runs?status=sleeping").json()["errors"][0]["field"] == "status"
    assert client.get("/api/v1/runs?pipeline=7").json()["errors"][0]["field"] == "pipeline"
    assert client.get(f"/api/v1/runs?q={'x' * 121}").json()["errors"][0]["field"] == "q"
    assert client.get(
        f"/api/v1/runs/{uuid4()}/logs?limit=99999999999999999999999999"
    ).status_code in {400, 404}


def test_the_overview_counts_pending_runs(world: World, pipeline: Pipeline) -> None:
    world.client().post(f"/api/v1/pipelines/{pipeline.pk}/run", {})

    overview = world.client(Role.VIEWER).get("/api/v1/stats/overview").json()

    assert (overview["waiting"], overview["running"], overview["runs"]) == (1, 0, 0)
    assert overview["success_rate"] is None
