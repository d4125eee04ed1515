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
from tests.isolation.planted import PlantedOrg, plant
from tests.isolation.test_matrix import (
    OPERATIONS,
    authorization_header,
    own_call,
    roll_back,
    view_of,
)
from tests.world import new_client

OPERATIONS_WITHOUT_EVENT = {
    "auth_stream_ticket": "Creates a ticket, valid for 30 s, for a stream that the caller may read anyway.",
    "identity_provider_check": "Requests the metadata of an issuer.",
    "verified_domains_check": "Here the DNS record is missing. For its events see tests/orgs/sign_in/test_verified_domains.py.",
    "connectors_check": "Tries a connection.",
    "connectors_check_unsaved": "Tries a connection.",
    "custom_sources_validate": "Returns the errors in code.",
    "custom_sources_preview": "Reads a few records and writes none.",
    "custom_sources_delete": "Here the response is 409, because a connector uses the source. For its event see tests/connectors/test_custom_sources.py.",
    "repositories_sync": "Here a sync is already queued. For its event see tests/connectors/test_repositories.py.",
    "pipelines_validate": "Returns the errors in a definition.",
    "pipelines_preview": "Reads a few records and writes none.",
    "pipelines_preview_unsaved": "Reads a few records and writes none.",
    "pipelines_match": "Lists streams.",
    "pipelines_streams_decide": "Here the response is 422, because the pipeline has no patterns. For its event see tests/pipelines/test_patterns.py.",
    "schedules_words": "Reads a schedule in English.",
    "schedules_preview": "Computes the next slots of a schedule.",
    "org_model_check": "Here the response is 422, because a check takes seconds. For its event see tests/agent/chat_models/test_check_route.py.",
    "scim_groups_search": "A search.",
    "scim_search": "A search.",
    "scim_users_search": "A search.",
    "pipelines_backfills_create": "Here the response is 422, because each run reads the whole stream. For its event see tests/runs/backfills/test_backfills.py.",
    "pipelines_backfills_estimate": "Asks the source for the number of rows.",
    "runs_rejected_replay": "Here the response is 409, because the run has rejected nothing. For its event see tests/runs/replays/test_replays.py.",
    "pipelines_state_restore": "Here the response is 404, because nothing was changed. For its event see tests/runs/positions/test_history.py.",
    "pipelines_state_put": "Here the response is 422, because each run reads the whole stream. For its event see tests/runs/claiming/test_attempts.py.",
}
# These operations need another request first, so that they change something: (operation, body).
FIRST_REQUEST: dict[str, tuple[str, Any]] = {
    "org_restore": ("org_delete", None),
    "pipelines_enable": ("pipelines_disable", None),
}
# The case's own body would change nothing, so these operations get another body.
OTHER_BODIES: dict[str, Any] = {
    "connectors_update": lambda p: {"description": "another"},
    "scim_groups_patch": lambda p: {
        "schemas": [SCIM_PATCH],
        "Operations": [{"op": "replace", "path": "displayName", "value": "Another"}],
    },
}
# The caller, if it is not the owner.
OTHER_CALLERS: dict[str, Role] = {"org_leave": Role.VIEWER}


def operations_with_event() -> list[str]:
    return [
        name
        for name in sorted(set(OPERATIONS) & set(CASES))
        if OPERATIONS[name][1] != "get"
        and issubclass(view_of(name), OrgView)
        and name not in OPERATIONS_WITHOUT_EVENT
    ]


@pytest.fixture(scope="module")
def planted(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[PlantedOrg]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield plant()
        transaction.set_rollback(True)


def count_events(planted: PlantedOrg) -> int:
    with planted.world.scope():
        count: int = AuditEvent.objects.for_org(planted.world.org).count()
    return count


def send(name: str, planted: PlantedOrg, role: Role, body: Any = None) -> Any:
    case = CASES[name]
    call = own_call(name, case, planted)
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=authorization_header(role, planted))
    client.cookies.load(case.cookies(planted))
    method: Any = getattr(client, OPERATIONS[name][1])
    return method(call.address, body or call.body or {}, **case.headers(planted))


@pytest.mark.parametrize("name", operations_with_event())
def test_a_change_adds_an_event_to_the_audit_log(name: str, planted: PlantedOrg) -> None:
    with roll_back():
        if name in FIRST_REQUEST:
            first, body = FIRST_REQUEST[name]
            assert send(first, planted, Role.OWNER, body).status_code < 300
        before = count_events(planted)
        body = OTHER_BODIES[name](planted) if name in OTHER_BODIES else None
        answer = send(name, planted, OTHER_CALLERS.get(name, Role.OWNER), body)
        assert answer.status_code < 300, answer.content
        assert count_events(planted) > before


def test_an_operation_that_is_listed_without_event_adds_none(planted: PlantedOrg) -> None:
    for name in OPERATIONS_WITHOUT_EVENT:
        with roll_back():
            before = count_events(planted)
            send(name, planted, Role.OWNER)
            assert count_events(planted) == before, name
