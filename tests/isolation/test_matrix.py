"""Send every operation of the OpenAPI document as every kind of caller, with own, foreign and unknown ids.

The document lists the operations. The views and the table of roles define the permissions. The tests assert that:
- every caller gets the status that the table defines;
- responses to a foreign and an unknown id are identical, headers included;
- no response contains data of another org;
- no response is a 5xx, and no operation is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.urls import resolve
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from apps.auth import tokens
from apps.orgs.http.views import AccountView, OrgView
from apps.orgs.roles import Permission, Role, allows
from apps.web.views import PublicView
from tests.api.test_openapi import operations
from tests.isolation.cases import CASES, Case
from tests.isolation.planted import PlantedOrg, plant
from tests.world import new_client

OPERATIONS = {operation["operationId"]: (path, method) for path, method, operation in operations()}
OPERATION_OBJECTS = {operation["operationId"]: operation for _, _, operation in operations()}
View = type[OrgView] | type[AccountView] | type[PublicView]
ACTORS = ("anonymous", *Role.values, "key", "reading_key", "removed")


@dataclass(frozen=True)
class TwoOrgs:
    ours: PlantedOrg
    theirs: PlantedOrg


@pytest.fixture(scope="module")
def two_orgs(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[TwoOrgs]:
    """Create two orgs for the whole module, in one transaction. Each request is rolled back separately."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield TwoOrgs(plant(), plant())
        transaction.set_rollback(True)


@contextmanager
def roll_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@dataclass(frozen=True)
class Call:
    """A request, ready to be sent."""

    path: str
    query: dict[str, Any]
    body: dict[str, Any] | None

    @property
    def address(self) -> str:
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


def view_of(name: str) -> View:
    path, _ = OPERATIONS[name]
    filled = re.sub(r"\{(\w+)\}", lambda match: _sample_value(name, match[1]), path)
    view: Any = resolve(filled).func
    cls: View = view.cls
    return cls


def _sample_value(name: str, parameter: str) -> str:
    schemas = {p["name"]: p["schema"] for p in OPERATION_OBJECTS[name].get("parameters", [])}
    schema = schemas.get(parameter, {})
    if schema.get("format") == "uuid":
        return str(uuid4())
    return "1" if schema.get("type") == "integer" else "name"


def expected_refusal(name: str, actor: str) -> int | None:
    """Return the status if this actor is refused before any object is looked up, or None."""
    view = view_of(name)
    _, method = OPERATIONS[name]
    if issubclass(view, PublicView):
        return None
    if actor == "anonymous":
        return 401
    if issubclass(view, AccountView):
        return 403 if actor.endswith("key") and name != "auth_me" else None
    if actor == "removed":
        return 401
    permission = view.permission_for(method)
    if actor in {"key", "reading_key"} and method in view.session_methods:
        return 403
    if actor == "reading_key":
        return None if permission is Permission.READ else 403
    role = Role.ADMIN if actor == "key" else Role(actor)
    return None if allows(role, permission) else 403


def client_of(actor: str, planted: PlantedOrg) -> APIClient:
    client = new_client()
    client.raise_request_exception = False
    if actor != "anonymous":
        client.credentials(HTTP_AUTHORIZATION=authorization_header(actor, planted))
    return client


def authorization_header(actor: str, planted: PlantedOrg) -> str:
    """Return the Authorization header of this kind of caller."""
    if actor.endswith("key"):
        return f"Bearer {planted[actor]}"
    return f"Bearer {tokens.issue(planted.claims[actor])}"


def own_call(name: str, case: Case, planted: PlantedOrg) -> Call:
    path, query = own_address(name, case, planted)
    return Call(path, query, case.body(planted) if case.body else None)


def own_address(name: str, case: Case, planted: PlantedOrg) -> tuple[str, dict[str, Any]]:
    """Return the path and the query, without the body, because creating a body may change the database."""
    path, _ = OPERATIONS[name]
    values = {k: planted[v] for k, v in case.path.items()} | dict(case.other_parameters)
    filled = re.sub(r"\{(\w+)\}", lambda match: str(values.pop(match[1])), path)
    return filled, {k: planted[v] for k, v in case.query.items()} | values


def send(call: Call, actor: str, name: str, case: Case, planted: PlantedOrg) -> Any:
    """Send the request and roll its changes back."""
    _, method = OPERATIONS[name]
    with roll_back():
        client = client_of(actor, planted)
        client.cookies.load(case.cookies(planted))
        request = getattr(client, method)
        if method == "get":
            answer = request(call.path, call.query, **case.headers(planted))
        else:
            answer = request(call.address, call.body or {}, **case.headers(planted))
        answer.whole_body = (
            b"".join(answer.streaming_content) if answer.streaming else answer.content
        )
        return answer


def calls_with_wrong_ids(
    ours: Call, theirs: Call, case: Case, two_orgs: TwoOrgs
) -> Iterator[tuple[str, Call, Call]]:
    """Yield for each id of the call its position, the call with another org's id, and the call with an unknown id."""
    for parameter, object_name in case.path.items():
        own, foreign = two_orgs.ours[object_name], two_orgs.theirs[object_name]
        if own != foreign:
            yield (
                f"path {parameter}",
                Call(ours.path.replace(own, foreign), ours.query, ours.body),
                Call(ours.path.replace(own, unknown_id_like(own)), ours.query, ours.body),
            )
    for parameter in case.query:
        yield (
            f"query {parameter}",
            Call(ours.path, {**ours.query, parameter: theirs.query[parameter]}, ours.body),
            Call(ours.path, {**ours.query, parameter: str(uuid4())}, ours.body),
        )
    for position in id_positions(ours.body):
        foreign_id = value_at(theirs.body, position)
        yield (
            f"body {'.'.join(map(str, position))}",
            Call(ours.path, ours.query, replace_value_at(ours.body, position, foreign_id)),
            Call(ours.path, ours.query, replace_value_at(ours.body, position, str(uuid4()))),
        )


def unknown_id_like(own: str) -> str:
    return str(uuid4()) if is_id(own) else uuid4().hex


def is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


def id_positions(body: Any, position: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if is_id(body):
        yield position
    inner = (
        body.items()
        if isinstance(body, dict)
        else enumerate(body if isinstance(body, list) else [])
    )
    for key, value in inner:
        yield from id_positions(value, (*position, key))


def value_at(body: Any, position: tuple[Any, ...]) -> Any:
    for key in position:
        body = body[key]
    return body


def replace_value_at(body: Any, position: tuple[Any, ...], value: Any) -> Any:
    if not position:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[position[0]] = replace_value_at(copy[position[0]], position[1:], value)
    return copy


def assert_no_leak(answer: Any, theirs: PlantedOrg, case: Case) -> None:
    """Assert that a response contains no text and no id of the other org, except in the part that varies."""
    body = re.sub(case.varying_part, b"", answer.whole_body) if case.varying_part else None
    response = (answer.whole_body if body is None else body) + str(answer.headers).encode()
    assert theirs.canary.encode() not in response
    leaked = [name for name, value in theirs.ids.items() if str(value).encode() in response]
    assert not leaked, f"the response contains ids of another org: {leaked}"


def assert_same_response(one: Any, other: Any, case: Case) -> None:
    assert one.status_code == other.status_code
    first, second = (
        re.sub(case.varying_part, b"", a.whole_body) if case.varying_part else a.whole_body
        for a in (one, other)
    )
    assert first == second
    ignored = {"X-Request-ID"} | ({"Content-Length"} if case.varying_part else set())
    assert _headers(one, ignored) == _headers(other, ignored)


def _headers(answer: Any, ignored: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in ignored}


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) | set(CASES)))
def test_every_operation_has_a_case_and_every_case_an_operation(name: str) -> None:
    assert name in CASES, (
        f"{name} has no case: add one to tests/isolation/cases.py (its docstring says how)"
    )
    assert name in OPERATIONS, f"the case {name} is stale: there is no such operation"


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(CASES)))
def test_the_case_contains_every_id_that_the_operation_accepts(
    name: str, two_orgs: TwoOrgs
) -> None:
    from apps.web import openapi

    operation, case = OPERATION_OBJECTS[name], CASES[name]
    for parameter in operation.get("parameters", []):
        if parameter["schema"].get("format") == "uuid":
            assert parameter["name"] in case.path.keys() | case.query.keys(), parameter["name"]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    required = set(uuid_fields(content.get("schema", {}), openapi.document()["components"]))
    present = {
        tuple(k for k in position if isinstance(k, str))
        for position in id_positions(own_call(name, case, two_orgs.ours).body)
    }
    assert required <= present, f"the body lacks {required - present}"


def uuid_fields(
    schema: Any, components: Any, position: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield the path of each field in a body that contains an id."""
    if name := schema.get("$ref"):
        yield from uuid_fields(components["schemas"][name.rpartition("/")[2]], components, position)
    if schema.get("format") == "uuid" and position:
        yield position
    for word in ("allOf", "oneOf", "anyOf"):
        for part in schema.get(word, []):
            yield from uuid_fields(part, components, position)
    if "items" in schema:
        yield from uuid_fields(schema["items"], components, position)
    for field, inner in schema.get("properties", {}).items():
        yield from uuid_fields(inner, components, (*position, field))


@pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(CASES)))
def test_an_operation_follows_the_permission_table(
    name: str, thorough: bool, two_orgs: TwoOrgs
) -> None:
    """With `thorough` every caller sends both a foreign and an unknown id in each position.

    Without it, a caller who is refused anyway sends only one of these ids. Of the callers who are not refused, only the
    first one sends the unknown id. Its response is compared with every caller's response to the foreign id.
    """
    case = CASES[name]
    call, theirs = own_call(name, case, two_orgs.ours), own_call(name, case, two_orgs.theirs)
    wrong_calls = list(calls_with_wrong_ids(call, theirs, case, two_orgs))
    unknown_answers: dict[Any, Any] = {}
    for number, actor in enumerate(ACTORS):
        refused = expected_refusal(name, actor)
        answer = send(call, actor, name, case, two_orgs.ours)
        expected_status = refused or case.status_by_actor.get(actor, case.status)
        assert answer.status_code == expected_status, (actor, answer.whole_body)
        assert_no_leak(answer, two_orgs.theirs, case)
        for position, foreign_call, unknown_call in wrong_calls:
            if refused and not thorough:
                foreign_or_unknown = send(
                    (foreign_call, unknown_call)[number % 2], actor, name, case, two_orgs.ours
                )
                assert_same_response(foreign_or_unknown, answer, case)
                continue
            foreign = send(foreign_call, actor, name, case, two_orgs.ours)
            cache_key = (position, actor if thorough else case.status_by_actor.get(actor))
            if cache_key not in unknown_answers:
                unknown_answers[cache_key] = send(unknown_call, actor, name, case, two_orgs.ours)
            assert_same_response(foreign, unknown_answers[cache_key], case)
            assert_no_leak(foreign, two_orgs.theirs, case)
            usual_status = {"path": 404, "query": case.status, "body": case.unknown_id_status}[
                position.split()[0]
            ]
            expected_status = refused or case.status_by_wrong_id.get(position, usual_status)
            assert foreign.status_code == expected_status, (actor, position, foreign.whole_body)


DOMAIN_OBJECTS = (
    "connector",
    "secret_connector",
    "destination",
    "pipeline",
    "paused_pipeline",
    "busy_pipeline",
)
PIPELINE_OBJECTS = ("run", "live_run")
ORG_OPERATIONS = [
    name for name in sorted(set(OPERATIONS) & set(CASES)) if issubclass(view_of(name), OrgView)
]


@pytest.mark.parametrize("name", ORG_OPERATIONS)
def test_a_key_for_one_domain_can_neither_see_nor_change_objects_of_other_domains(
    name: str, two_orgs: TwoOrgs
) -> None:
    case, ours = CASES[name], two_orgs.ours
    answer = send(own_call(name, case, ours), "other_domain_key", name, case, ours)
    assert answer.status_code < 500
    hidden = {*DOMAIN_OBJECTS, *PIPELINE_OBJECTS}
    if hidden & set(case.path.values()):
        assert answer.status_code in {403, 404}, answer.whole_body
    sent_body = str(own_call(name, case, ours).body)
    for object_name in hidden:
        assert (
            ours[object_name] in sent_body or ours[object_name].encode() not in answer.whole_body
        ), object_name
