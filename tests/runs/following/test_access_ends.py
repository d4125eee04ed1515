"""Open streams close when their access ends: notified at once, long before their own regular check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
import pytest

from apps.auth import sessions
from apps.orgs.keys import services as api_keys
from apps.orgs.members import services
from apps.orgs.models import Domain, Membership
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from tests.isolation.planted import principal
from tests.runs.conftest import make_pipeline
from tests.runs.following.test_streams import Listener, start
from tests.web_server import web_server
from tests.world import World, client_for, new_client, token_for

LONG = 5  # seconds without events that a stream may stay open; its own check is after an hour


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    with web_server(DROVER_STREAM_RECHECK_SECONDS="3600") as address:
        yield address


def bearer_of(world: World) -> tuple[str, UUID]:
    """Return (an access token of the viewer, its session)."""
    viewer = world.users[Role.VIEWER]
    token = token_for(viewer, world.org)
    return token, sessions.active_sessions(viewer.pk).values_list("pk", flat=True).latest(
        "created_at"
    )


def end_one(world: World, session: UUID, token: str) -> None:
    answer = client_for(world.users[Role.VIEWER], world.org).delete(
        f"/api/v1/auth/sessions/{session}"
    )
    assert answer.status_code == 204, answer.content


def end_all(world: World, session: UUID, token: str) -> None:
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.delete("/api/v1/auth/sessions?current=true").status_code == 204


def remove_member(world: World, session: UUID, token: str) -> None:
    with world.scope():
        member = Membership.objects.for_org(world.org).get(user=world.users[Role.VIEWER])
    answer = world.client(Role.ADMIN).delete(f"/api/v1/org/members/{member.pk}")
    assert answer.status_code == 204, answer.content


def close_network(world: World, session: UUID, token: str) -> None:
    """A rule that denies everyone here access, set from an allowed address."""
    with world.scope():
        by = principal(world, Role.OWNER)
        actor = by.actor.__class__("user", by.user_id, "owner", "192.0.2.7")
        inside = by.__class__(
            org_id=by.org_id, user_id=by.user_id, role=by.role, actor=actor, session_id=session
        )
        services.update_org(org=world.org, by=inside, changes={"networks": ["192.0.2.0/24"]})


WAYS = [end_one, end_all, remove_member, close_network]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_stream_ends_with_the_access_of_its_session(
    server: str, acme: World, way: Callable[[World, UUID, str], None]
) -> None:
    token, session = bearer_of(acme)
    run_id = start(acme, make_pipeline(acme))
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{server}/api/v1/runs/{run_id}/events"
    with httpx.stream("GET", address, headers=headers, timeout=LONG) as response:
        stream = Listener(response)
        assert stream.next()[1] == "run"
        way(acme, session, token)
        assert stream.ended()
    refused = httpx.get(address, headers=headers)
    assert refused.status_code == (403 if way is close_network else 401)


def test_a_stream_ends_with_its_api_key_and_no_other_does(server: str, acme: World) -> None:
    run_id = start(acme, make_pipeline(acme))
    address = f"{server}/api/v1/runs/{run_id}/events"
    with acme.scope():
        by = principal(acme, Role.MEMBER)
        ended, other = (
            api_keys.create(org=acme.org, by=by, name=name, role=Role.VIEWER)
            for name in ("ended", "other")
        )
    with (
        httpx.stream("GET", address, headers={"X-API-Key": ended.text}, timeout=LONG) as one,
        httpx.stream("GET", address, headers={"X-API-Key": other.text}, timeout=LONG) as two,
    ):
        first, second = Listener(one), Listener(two)
        assert first.next()[1] == second.next()[1] == "run"
        answer = acme.client(Role.ADMIN).delete(f"/api/v1/org/api-keys/{ended.row.pk}")
        assert answer.status_code == 204
        assert first.ended()
        with pytest.raises(httpx.ReadTimeout):
            second.ended()


def test_a_stream_of_a_key_of_one_domain_ends_when_the_pipeline_leaves_it(
    server: str, acme: World
) -> None:
    pipeline = make_pipeline(acme)
    with acme.scope():
        domain = Domain.unscoped.create(org=acme.org, name="sales")
        Pipeline.objects.for_org(acme.org).filter(pk=pipeline.pk).update(domain=domain)
        by = principal(acme, Role.MEMBER)
        made = api_keys.create(
            org=acme.org, by=by, name="sales", role=Role.VIEWER, domain_id=domain.pk
        )
    address = f"{server}/api/v1/runs/{start(acme, pipeline)}/events"
    headers = {"X-API-Key": made.text}
    with httpx.stream("GET", address, headers=headers, timeout=LONG) as response:
        stream = Listener(response)
        assert stream.next()[1] == "run"
        path = f"/api/v1/pipelines/{pipeline.pk}"
        assert acme.client(Role.ADMIN).patch(path, {"domain_id": None}).status_code == 200
        assert stream.ended()
    assert httpx.get(address, headers=headers).status_code == 404
