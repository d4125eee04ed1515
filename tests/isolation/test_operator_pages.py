"""Every operators' page, requested anonymously, by an org's owner, and by an operator with access to one org."""

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
from tests.isolation.planted import Planted, plant
from tests.orgs.test_operators import PASSWORD, log_in, look_at, set_up_factor

PLACE = "operators/"
BASE = f"/{PLACE}"
# Django's own login and logout, and the step between the password and the pages.
OPEN = {"login/", "logout/", "second-factor/"}


def routes(patterns: Any, prefix: str = "") -> Iterator[str]:
    for each in patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            yield from routes(each.url_patterns, path)
        elif isinstance(each, URLPattern):
            yield path


def operator_routes() -> list[str]:
    all_of_ours = set(routes(get_resolver().url_patterns))
    pages = {each.removeprefix(PLACE) for each in all_of_ours if each.startswith(PLACE)}
    return sorted(pages - OPEN)


def filled(route: str, pk: Any) -> str:
    """Return the route's URL for one object."""
    for parameter in ("<path:object_id>", "<uuid:pk>"):
        route = route.replace(parameter, str(pk))
    for parameter in ("<int:content_type_id>", "<path:object_id>"):
        route = route.replace(parameter, "1")
    return BASE + route.removeprefix("^").replace("(?P<url>.*)$", "somewhere").replace(
        "^(?P<app_label>auth|orgs)/$", "orgs/"
    )


@pytest.fixture
def orgs(committed_db: None) -> tuple[Planted, Planted]:
    return plant(), plant()


def test_there_are_pages_to_ask_for() -> None:
    found = operator_routes()
    assert "orgs/org/<uuid:pk>/suspend/" in found
    assert "pipelines/pipeline/<path:object_id>/change/" in found


def test_no_operators_page_opens_without_login_for_owners_or_without_second_factor(
    orgs: tuple[Planted, Planted],
) -> None:
    owner = orgs[0].world.users[Role.OWNER]
    nobody, member, entering = Client(), Client(), Client()
    member.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    User.objects.create_user(email="op@example.com", password=PASSWORD, is_staff=True)
    log_in(entering)
    for route in operator_routes():
        path = filled(route, orgs[0].world.org.pk)
        for client in (nobody, member, entering):
            for send in (client.get, client.post):
                answer = send(path)
                assert answer.status_code in {302, 403, 404, 405}, path
                if answer.status_code == 302:
                    assert answer["Location"].startswith((f"{BASE}login/", f"{BASE}second-factor/"))
                assert orgs[0].canary not in answer.content.decode(), path


def test_an_operator_sees_rows_of_no_org_but_the_one_asked_for(
    orgs: tuple[Planted, Planted],
) -> None:
    ours, theirs = orgs
    User.objects.create_user(email="op@example.com", password=PASSWORD, is_staff=True)
    client = Client()
    log_in(client)
    set_up_factor(client)
    look_at(client, ours.world.org)
    seen = 0
    for model, page in admin.site._registry.items():
        assert isinstance(page, OperatorAdmin)
        if page.org_column != "org_id":
            continue  # users, and names of orgs, belong to the installation
        base = f"{BASE}{model._meta.app_label}/{model._meta.model_name}/"
        rows = getattr(model, "unscoped").using("ops")  # noqa: B009 - not on every model
        listed = client.get(base).content.decode()
        assert not [pk for pk in ids(rows, theirs) if str(pk) in listed], base
        assert theirs.canary not in listed, base
        for pk in list(ids(rows, theirs))[:1]:
            for what in ("change", "history", "delete"):
                foreign = client.get(f"{base}{pk}/{what}/")
                unknown = client.get(f"{base}{uuid4()}/{what}/")
                assert foreign.status_code == unknown.status_code != 200, base
                assert foreign.get("Location") == unknown.get("Location")
                assert theirs.canary not in foreign.content.decode()
        for pk in list(ids(rows, ours))[:1]:
            assert client.get(f"{base}{pk}/change/").status_code == 200
            seen += 1
    assert seen >= 10, "the pages do show what may be seen"


def ids(rows: Any, of: Planted) -> Any:
    return rows.filter(org_id=of.world.org.pk).values_list("pk", flat=True)
