"""A small org for tests, with one member of each role and API clients for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import uuid4

from rest_framework.test import APIClient, ForceAuthClientHandler

from apps.auth import sessions, tokens
from apps.auth.models import User
from apps.orgs.members.services import create_org
from apps.orgs.models import Membership, Org
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope


@dataclass
class World:
    """An org, and its members by role."""

    org: Org
    users: dict[Role, User] = field(default_factory=dict)

    def client(self, role: Role | str = Role.MEMBER) -> APIClient:
        """An API client logged in as the member with this role."""
        return client_for(self.users[Role(role)], self.org)

    def scope(self) -> Any:
        return org_scope(self.org.pk)


def make_user(name: str = "someone") -> User:
    return User.objects.create_user(
        email=f"{name}-{uuid4().hex[:10]}@example.com", password=None, name=name
    )


def make_world(name: str = "Acme") -> World:
    owner = make_user("owner")
    world = World(create_org(name=name, owner=owner, by=SYSTEM), {Role.OWNER: owner})
    with world.scope():
        for role in (Role.ADMIN, Role.MEMBER, Role.VIEWER):
            world.users[role] = make_user(role.value)
            Membership.unscoped.create(org=world.org, user=world.users[role], role=role)
    return world


def client_for(user: User, org: Org) -> APIClient:
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token_for(user, org)}")
    return client


def new_client() -> APIClient:
    """Return an anonymous client. All clients share one handler, because a new handler loads the middleware again."""
    client = APIClient()
    client.handler = _handler()
    return client


@cache
def _handler() -> ForceAuthClientHandler:
    return ForceAuthClientHandler(enforce_csrf_checks=False)


def token_for(user: User, org: Org) -> str:
    """Return an access token of a new session."""
    return tokens.issue(claims_for(user, org))


def claims_for(user: User, org: Org) -> tokens.Claims:
    """Return the claims of a new session's tokens. A token is valid for minutes, so a long test creates a new one."""
    user.refresh_from_db(fields=["proof_version"])
    session = sessions.begin(user=user, ip=None, user_agent="tests")
    return tokens.Claims(
        user_id=user.pk, org_id=org.pk, session_id=session.id, token_version=user.token_version
    )


def make_connector(
    world: World, *, role: str = "source", kind: str = "dummy", **fields: Any
) -> Any:
    """Create a connector in the world's org. `config` defaults to the kind's own defaults."""
    from apps.connectors import services

    values = {"name": f"{kind}-{uuid4().hex[:8]}", "config": {}, **fields}
    with world.scope():
        return services.create(org=world.org, by=SYSTEM, role=role, kind=kind, **values)


def make_pipeline(world: World, **fields: Any) -> Any:
    """Create a pipeline in the world's org. It writes ten generated rows to the log, unless `config` is set."""
    from apps.pipelines import services

    config = {
        "source": {"kind": "dummy", "config": {"rows": 10}},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "logger", "config": {}},
    }
    values = {"name": f"pipeline-{uuid4().hex[:8]}", "config": config, **fields}
    with world.scope():
        return services.create(org=world.org, by=SYSTEM, **values)
