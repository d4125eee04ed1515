"""An API key that is limited to a domain can access only the runs of that domain."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone
from rest_framework.test import APIClient

from apps.engine.contract import LogLine
from apps.live.opening import StreamTarget, open_stream
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Domain
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline
from apps.runs.following.feed import RUN_SUBJECT
from apps.runs.models import Output, Run
from apps.runs.outputs import logs, storage
from apps.web.problems import Problem
from tests.runs.conftest import make_pipeline
from tests.world import World

RUN_TEXT = "text-of-the-run"
ROUTES = (
    "",
    "/logs",
    "/logs/matches",
    "/logs/download",
    "/rejected",
    "/rows",
    "/events",
    "/outputs",
    "/outputs/rows.parquet",
)


@dataclass
class DomainRuns:
    """A key of one domain, and ended runs in that domain, in another domain, and in no domain."""

    key: str
    client: APIClient
    runs: dict[str, Run]


@pytest.fixture
def domain_runs(world: World) -> DomainRuns:
    with world.scope():
        own_domain = Domain.unscoped.create(org=world.org, name="Own")
        other_domain = Domain.unscoped.create(org=world.org, name="Other")
    domain_ids = {"own": own_domain.pk, "other": other_domain.pk, "none": None}
    runs = {
        name: create_ended_run(world, name, domain_id) for name, domain_id in domain_ids.items()
    }
    body = {"name": "k", "role": "member", "domain_id": str(own_domain.pk)}
    key = world.client(Role.ADMIN).post("/api/v1/org/api-keys", body).json()["key"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return DomainRuns(key, client, runs)


def create_ended_run(world: World, name: str, domain_id: object) -> Run:
    pipeline = make_pipeline(world, name=f"{RUN_TEXT} {name}", domain_id=domain_id)
    with world.scope():
        run: Run = Run.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            version=1,
            status="failed",
            trigger="manual",
            failure_class="source",
            failure_message=RUN_TEXT,
            log_lines=1,
        )
        line = LogLine(at="2026-03-01T06:00:00Z", level="info", message=RUN_TEXT)
        draft = logs.Draft(0).with_lines([line])
        logs.save(logs.store(draft, org_id=world.org.pk, run_id=run.pk, attempt=1))
        key = f"org/{world.org.pk}/run/{run.pk}/rows"
        storage.write(key, RUN_TEXT.encode())
        Output.unscoped.create(
            org=world.org, run=run, name="rows.parquet", key=key, bytes=1, rows=1, media_type="a/b"
        )
    return run


@pytest.mark.parametrize("domain", ["other", "none"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_run_of_another_domain_gets_the_same_404_as_an_unknown_run(
    domain_runs: DomainRuns, domain: str, route: str
) -> None:
    unknown = domain_runs.client.get(f"/api/v1/runs/{uuid4()}{route}")
    hidden = domain_runs.client.get(f"/api/v1/runs/{domain_runs.runs[domain].pk}{route}")
    assert (hidden.status_code, hidden.content) == (404, unknown.content)
    assert (
        domain_runs.client.get(f"/api/v1/runs/{domain_runs.runs['own'].pk}{route}").status_code
        == 200
    )


def test_lists_and_counts_include_only_the_domain_of_the_key(domain_runs: DomainRuns) -> None:
    rows = domain_runs.client.get("/api/v1/runs").json()
    assert [row["id"] for row in rows["results"]] == [str(domain_runs.runs["own"].pk)]
    assert rows["count"] == 1
    runs_of_other_pipeline = domain_runs.client.get(
        "/api/v1/runs", {"pipeline": str(domain_runs.runs["other"].pipeline_id)}
    )
    assert runs_of_other_pipeline.json()["count"] == 0


def test_the_overview_counts_only_the_domain_of_the_key(
    world: World, domain_runs: DomainRuns
) -> None:
    with world.scope():
        Run.objects.for_org(world.org).update(finished_at=timezone.now())
    assert domain_runs.client.get("/api/v1/stats/overview").json()["failed"] == 1
    assert world.client(Role.VIEWER).get("/api/v1/stats/overview").json()["failed"] == 3


@pytest.mark.parametrize("domain", ["other", "none"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/api/v1/pipelines/{pipeline}/run"),
        ("get", "/api/v1/pipelines/{pipeline}/state"),
        ("put", "/api/v1/pipelines/{pipeline}/state"),
        ("post", "/api/v1/pipelines/{pipeline}/state/reset"),
        ("post", "/api/v1/runs/{run}/cancel"),
        ("post", "/api/v1/runs/{run}/retry"),
    ],
)
def test_objects_of_another_domain_get_the_same_404_as_unknown_objects(
    domain_runs: DomainRuns, domain: str, method: str, path: str
) -> None:
    run = domain_runs.runs[domain]
    body: dict[str, object] = {"state": {}} if method == "put" else {}
    send = getattr(domain_runs.client, method)
    hidden = send(path.format(pipeline=run.pipeline_id, run=run.pk), body)
    unknown = send(path.format(pipeline=uuid4(), run=uuid4()), body)
    assert (hidden.status_code, hidden.content) == (404, unknown.content)


def test_a_key_of_a_domain_cannot_open_the_event_stream_of_the_org(domain_runs: DomainRuns) -> None:
    refused = domain_runs.client.get("/api/v1/events")
    assert (refused.status_code, refused.json()["code"]) == (403, "domain_only")
    with pytest.raises(Problem) as raised:
        open_stream(stream_request(domain_runs.key), StreamTarget())
    assert raised.value.status == 403


def test_a_key_of_a_domain_cannot_open_the_event_stream_of_a_run_of_another_domain(
    domain_runs: DomainRuns,
) -> None:
    opening = open_stream(
        stream_request(domain_runs.key), StreamTarget(RUN_SUBJECT, domain_runs.runs["own"].pk)
    )
    assert opening.feed.key == domain_runs.runs["own"].pk
    with pytest.raises(NotFound):
        open_stream(
            stream_request(domain_runs.key), StreamTarget(RUN_SUBJECT, domain_runs.runs["other"].pk)
        )


def test_an_event_stream_loses_its_access_when_the_pipeline_leaves_the_domain_of_the_key(
    domain_runs: DomainRuns,
) -> None:
    run = domain_runs.runs["own"]
    opening = open_stream(stream_request(domain_runs.key), StreamTarget(RUN_SUBJECT, run.pk))
    assert opening.is_still_allowed()
    with org_scope(run.org_id):
        Pipeline.objects.for_org(run.org_id).filter(pk=run.pipeline_id).update(domain=None)
    assert not opening.is_still_allowed()


def stream_request(key: str) -> HttpRequest:
    return RequestFactory().get("/api/v1/events", HTTP_AUTHORIZATION=f"Bearer {key}")
