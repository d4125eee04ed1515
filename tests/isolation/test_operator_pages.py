"""Request every page for operators anonymously, as an org's owner, and as an operator with access to one org."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.auth.models import User
from apps.orgs.operators.site import OperatorAdmin
from apps.orgs.roles import Role
from tests.isolation.planted import PlantedOrg, plant
from tests.orgs.test_operators import (
    PASSWORD,
    enter_password,
    open_support_access,
    set_up_second_factor,
)

PREFIX = "operators/"
BASE = f"/{PREFIX}"
# Pages that need no login: Django's own login and logout, and the page that checks the second factor.
OPEN_PAGES = {"login/", "logout/", "second-factor/"}


def list_routes(patterns: Any, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from list_routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path


def operator_routes() -> list[str]:
    all_routes = set(list_routes(get_resolver().url_patterns))
    pages = {route.removeprefix(PREFIX) for route in all_routes if route.startswith(PREFIX)}
    return sorted(pages - OPEN_PAGES)


def url_of_route(route: str, pk: Any) -> str:
    """Return the route's URL for one object."""
    for parameter in ("<path:object_id>", "<uuid:pk>"):
        route = route.replace(parameter, str(pk))
    for parameter in ("<int:content_type_id>", "<path:object_id>"):
        route = route.replace(parameter, "1")
    return BASE + route.removeprefix("^").replace("(?P<url>.*)$", "somewhere").replace(
        "^(?P<app_label>auth|orgs)/$", "orgs/"
    )


@pytest.fixture
def orgs(committed_db: None) -> tuple[PlantedOrg, PlantedOrg]:
    return plant(), plant()


def test_the_list_of_pages_is_not_empty() -> None:
    pages = operator_routes()
    assert "orgs/org/<uuid:pk>/suspend/" in pages
    assert "pipelines/pipeline/<path:object_id>/change/" in pages


def test_no_operator_page_opens_for_anonymous_users_owners_or_operators_without_second_factor(
    orgs: tuple[PlantedOrg, PlantedOrg],
) -> None:
    owner = orgs[0].world.users[Role.OWNER]
    anonymous, owner_client, client_without_factor = Client(), Client(), Client()
    owner_client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    User.objects.create_user(email="op@example.com", password=PASSWORD, is_staff=True)
    enter_password(client_without_factor)
    for route in operator_routes():
        path = url_of_route(route, orgs[0].world.org.pk)
        for client in (anonymous, owner_client, client_without_factor):
            for send in (client.get, client.post):
                answer = send(path)
                assert answer.status_code in {302, 403, 404, 405}, path
                if answer.status_code == 302:
                    assert answer["Location"].startswith((f"{BASE}login/", f"{BASE}second-factor/"))
                assert orgs[0].canary not in answer.content.decode(), path


def test_an_operator_sees_only_rows_of_the_org_with_support_access(
    orgs: tuple[PlantedOrg, PlantedOrg],
) -> None:
    ours, theirs = orgs
    User.objects.create_user(email="op@example.com", password=PASSWORD, is_staff=True)
    client = Client()
    enter_password(client)
    set_up_second_factor(client)
    open_support_access(client, ours.world.org)
    page_count = 0
    for model, model_admin in admin.site._registry.items():
        assert isinstance(model_admin, OperatorAdmin)
        if model_admin.org_column != "org_id":
            continue  # the lists of users and of orgs are open to every operator
        base = f"{BASE}{model._meta.app_label}/{model._meta.model_name}/"
        rows = getattr(model, "unscoped").using("ops")  # noqa: B009 - not on every model
        list_page = client.get(base).content.decode()
        assert not [pk for pk in ids_in_org(rows, theirs) if str(pk) in list_page], base
        assert theirs.canary not in list_page, base
        for pk in list(ids_in_org(rows, theirs))[:1]:
            for action in ("change", "history", "delete"):
                foreign = client.get(f"{base}{pk}/{action}/")
                unknown = client.get(f"{base}{uuid4()}/{action}/")
                assert foreign.status_code == unknown.status_code != 200, base
                assert foreign.get("Location") == unknown.get("Location")
                assert theirs.canary not in foreign.content.decode()
        for pk in list(ids_in_org(rows, ours))[:1]:
            assert client.get(f"{base}{pk}/change/").status_code == 200
            page_count += 1
    assert page_count >= 10, "too few pages of the org with support access opened"


def ids_in_org(rows: Any, planted: PlantedOrg) -> Any:
    return rows.filter(org_id=planted.world.org.pk).values_list("pk", flat=True)
