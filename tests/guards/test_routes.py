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
ROUTES_WITHOUT_PERMISSION = {
    "api/v1/openapi.json": "the document is public",
    "api/v1/docs": "the document is public",
    "^api/": "returns 404 for routes that do not exist",
    "^(?:health|metrics)(?:/|$)": "returns 404 to a health check without the API's prefix",
    "^(?!static/).*$": "the dashboard's page, which contains no data and calls the API",
}

READ_ONLY_POSTS = {
    "api/v1/schedules/preview": "computes times from the body",
    "api/v1/schedules/words": "reads a schedule in the body",
}


def all_routes(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if not path.startswith("operators/"):  # see tests/orgs/test_operators.py
                yield from all_routes(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield (
                path,
                getattr(pattern.callback, "cls", None)
                or getattr(pattern.callback, "view_class", None),
            )


def org_views() -> list[tuple[str, type[OrgView]]]:
    return [(path, view) for path, view in all_routes() if view and issubclass(view, OrgView)]


# Routes for the user's own account. The user may not belong to any org.
ACCOUNT_PREFIXES = ("api/v1/auth/", "api/v1/invitations/accept", "api/v1/organizations")


def test_every_route_belongs_to_an_org_or_an_account_or_is_public_with_a_reason() -> None:
    other_routes = set()
    for path, view in all_routes():
        if view is not None and issubclass(view, AccountView):
            assert path.startswith(ACCOUNT_PREFIXES), path
        elif view is None or not issubclass(view, OrgView | PublicView):
            other_routes.add(path)
        elif issubclass(view, PublicView):
            assert len(view.public_because) > 20, path
    assert other_routes == set(ROUTES_WITHOUT_PERMISSION)


@pytest.mark.parametrize(("path", "view"), org_views(), ids=lambda value: str(value))
def test_every_method_of_a_view_has_a_permission(path: str, view: type[OrgView]) -> None:
    for method in METHODS:
        if hasattr(view, method):
            assert isinstance(view.permission_for(method), Permission)
    listed_methods = set(view.permissions) | set(view.session_methods)
    unused = {method for method in listed_methods if not hasattr(view, method)}
    assert not unused or view.__mro__[1] is not OrgView, f"{path}: {unused} has no handler"


@pytest.mark.parametrize(("path", "view"), org_views(), ids=lambda value: str(value))
def test_changes_require_more_than_the_read_permission_except_for_listed_posts_and_ones_own_account(
    path: str, view: type[OrgView]
) -> None:
    for method in METHODS[1:]:
        if hasattr(view, method) and view.permission_for(method) is Permission.READ:
            is_own_account = method in view.session_methods
            assert is_own_account or path in READ_ONLY_POSTS, f"{path} {method}"


def test_every_listed_read_only_post_exists() -> None:
    assert set(READ_ONLY_POSTS) <= {path for path, _ in org_views()}


def test_no_route_ends_with_a_slash() -> None:
    assert not [
        path for path, _ in all_routes() if path.startswith("api/v1/") and path.endswith("/")
    ]
