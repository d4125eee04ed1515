"""A small org for tests, with one member of each role and API clients for them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone
from rest_framework.test import APIClient, ForceAuthClientHandler

from apps.auth import tokens
from apps.auth.models import RefreshFamily, RefreshToken, User
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
    return make_users(name)[0]


def make_users(*names: str) -> list[User]:
    """Create users without a password, all with one query."""
    return User.objects.bulk_create(
        User(
            email=f"{name}-{uuid4().hex[:10]}@example.com",
            password=_unusable_password(),
            name=name,
        )
        for name in names
    )


@cache
def _unusable_password() -> str:
    return make_password(None)


def make_world(name: str = "Acme") -> World:
    users = dict(zip(Role, make_users(*Role.values), strict=True))
    world = World(create_org(name=name, owner=users[Role.OWNER], by=SYSTEM), users)
    with world.scope():
        Membership.unscoped.bulk_create(
            Membership(org=world.org, user=users[role], role=role)
            for role in (Role.ADMIN, Role.MEMBER, Role.VIEWER)
        )
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
    """Return the claims of a new session's tokens. A token is valid for minutes, so a long test creates a new one.

    The session is inserted directly, because `sessions.begin` needs three times as many queries.
    """
    family = RefreshFamily.objects.create(user=user, user_agent="tests")
    RefreshToken.objects.create(
        family=family,
        digest=secrets.token_bytes(32),
        expires_at=timezone.now() + settings.REFRESH_TOKEN_LIFETIME,
    )
    return tokens.Claims(
        user_id=user.pk, org_id=org.pk, session_id=family.pk, token_version=user.token_version
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
