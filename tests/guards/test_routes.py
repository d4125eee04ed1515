"""Every route requires a credential and a permission, or has a reason why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from apps.orgs.http.views import AccountView, OrgView
from apps.orgs.roles import Permission
from apps.web.views import PublicView

METHODS = ("get", "post", "put", "patch", "delete")
NEITHER = {
    "api/v1/openapi.json": "the document is public",
    "api/v1/docs": "the document is public",
    "^api/": "answers 404 for routes that do not exist",
    "^(?:health|metrics)(?:/|$)": "answers 404 to a probe without the API's prefix",
    "^(?!static/).*$": "the dashboard's shell, which asks the API",
}

CHANGES_NOTHING = {"api/v1/schedules/preview": "computes times from the body"}


def routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if not path.startswith("operators/"):  # tests/orgs/test_admin.py
                yield from routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield (
                path,
                getattr(pattern.callback, "cls", None)
                or getattr(pattern.callback, "view_class", None),
            )


def views() -> list[tuple[str, type[OrgView]]]:
    return [(path, view) for path, view in routes() if view and issubclass(view, OrgView)]


# Routes about the user, who may not belong to any org: they access only the account.
OF_THE_PERSON = ("api/v1/auth/", "api/v1/invitations/accept", "api/v1/organizations")


def test_every_route_is_inside_an_org_about_the_person_or_public_with_a_reason() -> None:
    others = set()
    for path, view in routes():
        if view is not None and issubclass(view, AccountView):
            assert path.startswith(OF_THE_PERSON), path
        elif view is None or not issubclass(view, OrgView | PublicView):
            others.add(path)
        elif issubclass(view, PublicView):
            assert len(view.public_because) > 20, path
    assert others == set(NEITHER)


@pytest.mark.parametrize(("path", "view"), views(), ids=lambda value: str(value))
def test_every_method_names_its_permission(path: str, view: type[OrgView]) -> None:
    for method in METHODS:
        if hasattr(view, method):
            assert isinstance(view.permission_for(method), Permission)
    named = set(view.permissions) | set(view.session_methods)
    unused = {method for method in named if not hasattr(view, method)}
    assert not unused or view.__mro__[1] is not OrgView, f"{path}: {unused} has no handler"


@pytest.mark.parametrize(("path", "view"), views(), ids=lambda value: str(value))
def test_changes_need_more_than_the_read_permission_except_for_the_own_account(
    path: str, view: type[OrgView]
) -> None:
    for method in METHODS[1:]:
        if hasattr(view, method) and view.permission_for(method) is Permission.READ:
            own = method in view.session_methods
            assert own or path in CHANGES_NOTHING, f"{path} {method}"


def test_the_list_of_what_changes_nothing_is_not_stale() -> None:
    assert set(CHANGES_NOTHING) <= {path for path, _ in views()}


def test_no_route_ends_with_a_slash() -> None:
    assert not [path for path, _ in routes() if path.startswith("api/v1/") and path.endswith("/")]
