"""An access token with a valid signature and lifetime gives no access once its claims are no longer true."""

from __future__ import annotations

import pytest
from django.db.models import F
from rest_framework.test import APIClient

from apps.auth.models import RefreshFamily, User
from apps.orgs.models import Membership
from apps.orgs.roles import Role
from tests.world import World, client_for

PATHS = ["/api/v1/org", "/api/v1/auth/me"]


@pytest.fixture
def ada(world: World) -> User:
    return world.users[Role.MEMBER]


@pytest.fixture
def client(world: World, ada: User) -> APIClient:
    made = client_for(ada, world.org)
    assert [made.get(path).status_code for path in PATHS] == [200, 200]
    return made


@pytest.mark.parametrize("path", PATHS)
def test_of_an_account_that_was_switched_off(client: APIClient, ada: User, path: str) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_of_an_older_token_version(client: APIClient, ada: User, path: str) -> None:
    User.objects.filter(pk=ada.pk).update(token_version=F("token_version") + 1)
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_of_an_ended_session(client: APIClient, ada: User, path: str) -> None:
    RefreshFamily.objects.filter(user=ada).update(revoked_at=F("created_at"))
    assert client.get(path).status_code == 401


def test_a_session_that_one_org_vouches_for_opens_no_other(
    world: World, stranger: World, ada: User
) -> None:
    with stranger.scope():
        Membership.unscoped.create(org=stranger.org, user=ada, role=Role.OWNER)
    there = client_for(ada, stranger.org)
    assert there.get("/api/v1/org").status_code == 200
    RefreshFamily.objects.filter(user=ada).update(only_org=world.org.pk)
    assert there.get("/api/v1/org").status_code == 401
