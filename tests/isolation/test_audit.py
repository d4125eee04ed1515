"""Every operation that changes an org adds an event to its audit log, in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker

from apps.orgs.http.views import OrgView
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from tests.isolation.cases import CASES, SCIM_PATCH
from tests.isolation.planted import Planted, plant
from tests.isolation.test_matrix import OPERATIONS, bearer_of, own_call, undone, view_of
from tests.world import new_client

CHANGES_NOTHING = {
    "auth_stream_ticket": "A pass of 30 s for a stream one may read anyway.",
    "identity_provider_check": "Asks an issuer who it is.",
    "verified_domains_check": "Here the record is missing. Its events: tests/orgs/sign_in/test_verified_domains.py.",
    "connectors_check": "Tries a connection.",
    "connectors_check_unsaved": "Tries a connection.",
    "custom_sources_validate": "Says what is wrong with code.",
    "custom_sources_preview": "Reads a few records and writes none.",
    "custom_sources_delete": "Here a connector uses it: 409. Its event: tests/connectors/test_custom_sources.py.",
    "repositories_sync": "Here a sync waits already. Its event: tests/connectors/test_repositories.py.",
    "pipelines_validate": "Says what is wrong with a definition.",
    "pipelines_preview": "Reads a few records and writes none.",
    "pipelines_preview_unsaved": "Reads a few records and writes none.",
    "schedules_preview": "Computes the next slots.",
    "scim_groups_search": "A search.",
    "scim_search": "A search.",
    "scim_users_search": "A search.",
    "pipelines_state_put": "Here nothing was synced yet: 409. Its event: tests/runs/claiming/test_attempts.py.",
}
# For cases that would change nothing, another request first changes the state: (operation, body).
FIRST: dict[str, tuple[str, Any]] = {
    "org_restore": ("org_delete", None),
    "pipelines_enable": ("pipelines_disable", None),
}
INSTEAD: dict[str, Any] = {
    "connectors_update": lambda p: {"description": "another"},
    "scim_groups_patch": lambda p: {
        "schemas": [SCIM_PATCH],
        "Operations": [{"op": "replace", "path": "displayName", "value": "Another"}],
    },
}
AS: dict[str, Role] = {"org_leave": Role.VIEWER}


def changing() -> list[str]:
    return [
        name
        for name in sorted(set(OPERATIONS) & set(CASES))
        if OPERATIONS[name][1] != "get"
        and issubclass(view_of(name), OrgView)
        and name not in CHANGES_NOTHING
    ]


@pytest.fixture(scope="module")
def planted(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Planted]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield plant()
        transaction.set_rollback(True)


def events(planted: Planted) -> int:
    with planted.world.scope():
        count: int = AuditEvent.objects.for_org(planted.world.org).count()
    return count


def ask(name: str, planted: Planted, role: Role, body: Any = None) -> Any:
    case = CASES[name]
    call = own_call(name, case, planted)
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=bearer_of(role, planted))
    client.cookies.load(case.cookies(planted))
    send: Any = getattr(client, OPERATIONS[name][1])
    return send(call.path, body or call.body or {}, **case.headers(planted))


@pytest.mark.parametrize("name", changing())
def test_a_change_leaves_an_event(name: str, planted: Planted) -> None:
    with undone():
        if name in FIRST:
            first, body = FIRST[name]
            assert ask(first, planted, Role.OWNER, body).status_code < 300
        before = events(planted)
        body = INSTEAD[name](planted) if name in INSTEAD else None
        answer = ask(name, planted, AS.get(name, Role.OWNER), body)
        assert answer.status_code < 300, answer.content
        assert events(planted) > before


def test_cases_without_changes_change_nothing(planted: Planted) -> None:
    for name in CHANGES_NOTHING:
        with undone():
            before = events(planted)
            ask(name, planted, Role.OWNER)
            assert events(planted) == before, name
