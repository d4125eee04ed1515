"""An API key limited to a domain sees only the runs of that domain, whatever it requests."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from rest_framework.test import APIClient

from apps.engine.contract import LogLine
from apps.live.streams import StreamTarget, open_stream
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Domain
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import Pipeline
from apps.runs.following.feed import RUN
from apps.runs.models import Output, Run
from apps.runs.outputs import logs, storage
from apps.web.problems import Problem
from tests.runs.conftest import make_pipeline
from tests.world import World

THEIRS = "theirs-alone"
ROUTES = ("", "/logs", "/events", "/outputs", "/outputs/rows.parquet")


@dataclass
class Split:
    """A key of one domain, and an ended run of a pipeline in it, in another domain, and in none."""

    key: str
    client: APIClient
    runs: dict[str, Run]


@pytest.fixture
def split(world: World) -> Split:
    with world.scope():
        ours = Domain.unscoped.create(org=world.org, name="Ours")
        theirs = Domain.unscoped.create(org=world.org, name="Theirs")
    places = {"ours": ours.pk, "theirs": theirs.pk, "none": None}
    runs = {name: ended_run(world, name, place) for name, place in places.items()}
    body = {"name": "k", "role": "member", "domain_id": str(ours.pk)}
    key = world.client(Role.ADMIN).post("/api/v1/org/api-keys", body).json()["key"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return Split(key, client, runs)


def ended_run(world: World, name: str, place: object) -> Run:
    pipeline = make_pipeline(world, name=f"{THEIRS} {name}", domain_id=place)
    with world.scope():
        run: Run = Run.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            version=1,
            status="failed",
            trigger="manual",
            failure_class="source",
            failure_message=THEIRS,
            log_lines=1,
        )
        line = LogLine(at="2026-03-01T06:00:00Z", level="info", message=THEIRS)
        draft = logs.Draft(0).with_lines([line])
        logs.save(logs.store(draft, org_id=world.org.pk, run_id=run.pk, attempt=1))
        key = f"org/{world.org.pk}/run/{run.pk}/rows"
        storage.write(key, THEIRS.encode())
        Output.unscoped.create(
            org=world.org, run=run, name="rows.parquet", key=key, bytes=1, rows=1, media_type="a/b"
        )
    return run


@pytest.mark.parametrize("place", ["theirs", "none"])
@pytest.mark.parametrize("route", ROUTES)
def test_a_run_of_another_domain_looks_unknown(split: Split, place: str, route: str) -> None:
    unknown = split.client.get(f"/api/v1/runs/{uuid4()}{route}")
    hidden = split.client.get(f"/api/v1/runs/{split.runs[place].pk}{route}")
    assert (hidden.status_code, hidden.content) == (404, unknown.content)
    assert split.client.get(f"/api/v1/runs/{split.runs['ours'].pk}{route}").status_code == 200


def test_lists_and_counts_are_of_the_keys_domain(split: Split) -> None:
    rows = split.client.get("/api/v1/runs").json()
    assert [row["id"] for row in rows["results"]] == [str(split.runs["ours"].pk)]
    assert rows["count"] == 1
    elsewhere = split.client.get(
        "/api/v1/runs", {"pipeline": str(split.runs["theirs"].pipeline_id)}
    )
    assert elsewhere.json()["count"] == 0


def test_the_overview_counts_only_the_keys_domain(world: World, split: Split) -> None:
    with world.scope():
        Run.objects.for_org(world.org).update(finished_at="2999-01-01T00:00:00Z")
    assert split.client.get("/api/v1/stats/overview").json()["failed"] == 1
    assert world.client(Role.VIEWER).get("/api/v1/stats/overview").json()["failed"] == 3


@pytest.mark.parametrize("place", ["theirs", "none"])
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
def test_objects_of_other_domains_look_unknown(
    split: Split, place: str, method: str, path: str
) -> None:
    run = split.runs[place]
    body: dict[str, object] = {"state": {}} if method == "put" else {}
    send = getattr(split.client, method)
    hidden = send(path.format(pipeline=run.pipeline_id, run=run.pk), body)
    unknown = send(path.format(pipeline=uuid4(), run=uuid4()), body)
    assert (hidden.status_code, hidden.content) == (404, unknown.content)


def test_the_stream_of_the_whole_organization_is_refused(split: Split) -> None:
    refused = split.client.get("/api/v1/events")
    assert (refused.status_code, refused.json()["code"]) == (403, "domain_only")
    with pytest.raises(Problem) as raised:
        open_stream(asking(split.key), StreamTarget())
    assert raised.value.status == 403


def test_a_stream_of_a_run_elsewhere_is_not_opened(split: Split) -> None:
    opening = open_stream(asking(split.key), StreamTarget(RUN, split.runs["ours"].pk))
    assert opening.feed.key == split.runs["ours"].pk
    with pytest.raises(NotFound):
        open_stream(asking(split.key), StreamTarget(RUN, split.runs["theirs"].pk))


def test_a_stream_ends_when_its_pipeline_moves_out_of_the_keys_domain(split: Split) -> None:
    run = split.runs["ours"]
    opening = open_stream(asking(split.key), StreamTarget(RUN, run.pk))
    assert opening.is_still_allowed()
    with org_scope(run.org_id):
        Pipeline.objects.for_org(run.org_id).filter(pk=run.pipeline_id).update(domain=None)
    assert not opening.is_still_allowed()


def asking(key: str) -> HttpRequest:
    return RequestFactory().get("/api/v1/events", HTTP_AUTHORIZATION=f"Bearer {key}")
