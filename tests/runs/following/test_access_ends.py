"""An open stream closes as soon as its access ends, long before the next regular check of its access."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import httpx
import pytest

from apps.agent.conversations.events import Kind, new_event, record
from apps.auth import sessions
from apps.orgs.keys import services as api_keys
from apps.orgs.members import services
from apps.orgs.models import Domain, Membership
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from tests.isolation.planted import principal
from tests.runs.conftest import make_pipeline
from tests.runs.following.test_streams import Listener, start_run
from tests.web_server import web_server
from tests.world import World, client_for, new_client, token_for

MAX_SILENCE = 5  # seconds; the regular check of access comes only after an hour


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    with web_server(DROVER_STREAM_RECHECK_SECONDS="3600") as address:
        yield address


def create_viewer_session(world: World) -> tuple[str, UUID]:
    """Return an access token of the viewer, and the id of its session."""
    viewer = world.users[Role.VIEWER]
    token = token_for(viewer, world.org)
    return token, sessions.active_sessions(viewer.pk).values_list("pk", flat=True).latest(
        "created_at"
    )


def end_session(world: World, session_id: UUID, token: str) -> None:
    answer = client_for(world.users[Role.VIEWER], world.org).delete(
        f"/api/v1/auth/sessions/{session_id}"
    )
    assert answer.status_code == 204, answer.content


def end_all_sessions(world: World, session_id: UUID, token: str) -> None:
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.delete("/api/v1/auth/sessions?current=true").status_code == 204


def remove_member(world: World, session_id: UUID, token: str) -> None:
    remove(world, Role.VIEWER)


def remove(world: World, role: Role) -> None:
    with world.scope():
        member = Membership.objects.for_org(world.org).get(user=world.users[role])
    answer = world.client(Role.ADMIN).delete(f"/api/v1/org/members/{member.pk}")
    assert answer.status_code == 204, answer.content


def block_network(world: World, session_id: UUID, token: str) -> None:
    """Allow only a network that this client is not in. The owner who sets the rule is in it."""
    with world.scope():
        by = principal(world, Role.OWNER)
        actor = by.actor.__class__("user", by.user_id, "owner", "192.0.2.7")
        owner_in_network = by.__class__(
            org_id=by.org_id, user_id=by.user_id, role=by.role, actor=actor, session_id=session_id
        )
        services.update_org(
            org=world.org, by=owner_in_network, changes={"networks": ["192.0.2.0/24"]}
        )


WAYS_TO_END_ACCESS = [end_session, end_all_sessions, remove_member, block_network]


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "end_access", WAYS_TO_END_ACCESS, ids=lambda end_access: end_access.__name__
)
def test_a_stream_ends_when_the_access_of_its_session_ends(
    server: str, acme: World, end_access: Callable[[World, UUID, str], None]
) -> None:
    token, session_id = create_viewer_session(acme)
    run_id = start_run(acme, make_pipeline(acme))
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{server}/api/v1/runs/{run_id}/events"
    with httpx.stream("GET", address, headers=headers, timeout=MAX_SILENCE) as response:
        stream = Listener(response)
        assert stream.next()[1] == "run"
        end_access(acme, session_id, token)
        assert stream.has_ended()
    refused = httpx.get(address, headers=headers)
    assert refused.status_code == (403 if end_access is block_network else 401)


def test_the_stream_of_a_conversation_ends_when_its_member_is_removed(
    server: str, acme: World
) -> None:
    client = acme.client(Role.MEMBER)
    path = "/api/v1/agent/conversations"
    conversation = client.post(path, {}, format="json").json()["id"]
    headers = {"Authorization": f"Bearer {token_for(acme.users[Role.MEMBER], acme.org)}"}
    address = f"{server}{path}/{conversation}/events"
    with httpx.stream("GET", address, headers=headers, timeout=MAX_SILENCE) as response:
        stream = Listener(response)
        assert stream.next()[1] == "conversation"
        remove(acme, Role.MEMBER)
        assert stream.has_ended()
    assert httpx.get(address, headers=headers).status_code == 401


def test_a_token_that_is_announced_directly_after_the_removal_of_its_member_is_not_sent(
    server: str, acme: World
) -> None:
    """Both are one transaction, so the stream gets both notices together."""
    path = "/api/v1/agent/conversations"
    conversation = acme.client(Role.MEMBER).post(path, {}, format="json").json()["id"]
    headers = {"Authorization": f"Bearer {token_for(acme.users[Role.MEMBER], acme.org)}"}
    address = f"{server}{path}/{conversation}/events"
    with httpx.stream("GET", address, headers=headers, timeout=MAX_SILENCE) as response:
        stream = Listener(response)
        assert stream.next()[1] == "conversation"
        with acme.scope():
            token = new_event(Kind.TOKEN, 1, message="answer", text="before")
            record(acme.org.pk, UUID(conversation), token)
        assert stream.next()[2]["text"] == "before"
        with acme.scope():
            by = principal(acme, Role.ADMIN)
            member = Membership.objects.for_org(acme.org).get(user=acme.users[Role.MEMBER])
            services.remove_member(org=acme.org, by=by, member_id=member.pk)
            token = new_event(Kind.TOKEN, 1, message="answer", text="after")
            record(acme.org.pk, UUID(conversation), token)
        assert stream.has_ended()


def test_a_stream_ends_when_its_api_key_is_revoked_and_other_streams_continue(
    server: str, acme: World
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    address = f"{server}/api/v1/runs/{run_id}/events"
    with acme.scope():
        by = principal(acme, Role.MEMBER)
        revoked_key, other_key = (
            api_keys.create(org=acme.org, by=by, name=name, role=Role.VIEWER)
            for name in ("revoked", "other")
        )
    with (
        httpx.stream(
            "GET", address, headers={"X-API-Key": revoked_key.text}, timeout=MAX_SILENCE
        ) as first_response,
        httpx.stream(
            "GET", address, headers={"X-API-Key": other_key.text}, timeout=MAX_SILENCE
        ) as second_response,
    ):
        revoked_stream, other_stream = Listener(first_response), Listener(second_response)
        assert revoked_stream.next()[1] == other_stream.next()[1] == "run"
        answer = acme.client(Role.ADMIN).delete(f"/api/v1/org/api-keys/{revoked_key.row.pk}")
        assert answer.status_code == 204
        assert revoked_stream.has_ended()
        with pytest.raises(httpx.ReadTimeout):
            other_stream.has_ended()


def test_a_stream_of_a_key_of_one_domain_ends_when_the_pipeline_leaves_the_domain(
    server: str, acme: World
) -> None:
    pipeline = make_pipeline(acme)
    with acme.scope():
        domain = Domain.unscoped.create(org=acme.org, name="sales")
        Pipeline.objects.for_org(acme.org).filter(pk=pipeline.pk).update(domain=domain)
        by = principal(acme, Role.MEMBER)
        key = api_keys.create(
            org=acme.org, by=by, name="sales", role=Role.VIEWER, domain_id=domain.pk
        )
    address = f"{server}/api/v1/runs/{start_run(acme, pipeline)}/events"
    headers = {"X-API-Key": key.text}
    with httpx.stream("GET", address, headers=headers, timeout=MAX_SILENCE) as response:
        stream = Listener(response)
        assert stream.next()[1] == "run"
        path = f"/api/v1/pipelines/{pipeline.pk}"
        assert acme.client(Role.ADMIN).patch(path, {"domain_id": None}).status_code == 200
        assert stream.has_ended()
    assert httpx.get(address, headers=headers).status_code == 404
