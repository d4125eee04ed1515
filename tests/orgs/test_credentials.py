"""A valid access token gives no access once the account, its token version or its session has changed."""

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
    client = client_for(ada, world.org)
    assert [client.get(path).status_code for path in PATHS] == [200, 200]
    return client


@pytest.mark.parametrize("path", PATHS)
def test_the_token_of_a_deactivated_account_is_rejected(
    client: APIClient, ada: User, path: str
) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_token_with_an_old_token_version_is_rejected(
    client: APIClient, ada: User, path: str
) -> None:
    User.objects.filter(pk=ada.pk).update(token_version=F("token_version") + 1)
    assert client.get(path).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_the_token_of_an_ended_session_is_rejected(client: APIClient, ada: User, path: str) -> None:
    RefreshFamily.objects.filter(user=ada).update(revoked_at=F("created_at"))
    assert client.get(path).status_code == 401


def test_a_session_limited_to_one_org_gives_no_access_to_another(
    world: World, stranger: World, ada: User
) -> None:
    with stranger.scope():
        Membership.unscoped.create(org=stranger.org, user=ada, role=Role.OWNER)
    client = client_for(ada, stranger.org)
    assert client.get("/api/v1/org").status_code == 200
    RefreshFamily.objects.filter(user=ada).update(only_org=world.org.pk)
    assert client.get("/api/v1/org").status_code == 401
