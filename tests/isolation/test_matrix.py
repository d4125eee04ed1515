"""Every operation of the OpenAPI document, with every kind of caller, for own, foreign and unknown ids.

The document lists the operations, the views and the table of roles define the permissions. The assertions:
- everyone gets the status that the table defines;
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
from tests.isolation.planted import Planted, plant
from tests.world import new_client

OPERATIONS = {operation["operationId"]: (path, method) for path, method, operation in operations()}
DOCUMENTED = {operation["operationId"]: operation for _, _, operation in operations()}
View = type[OrgView] | type[AccountView] | type[PublicView]
ACTORS = ("anonymous", *Role.values, "key", "reading_key", "removed")


@dataclass(frozen=True)
class Stage:
    ours: Planted
    theirs: Planted


@pytest.fixture(scope="module")
def stage(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Stage]:
    """Two orgs for the whole module, in one transaction; each request is rolled back separately."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield Stage(plant(), plant())
        transaction.set_rollback(True)


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@dataclass(frozen=True)
class Call:
    """A request, ready to be sent."""

    path: str
    query: dict[str, Any]
    body: dict[str, Any] | None


def view_of(name: str) -> View:
    path, _ = OPERATIONS[name]
    filled = re.sub(r"\{(\w+)\}", lambda found: _sample(name, found[1]), path)
    view: Any = resolve(filled).func
    cls: View = view.cls
    return cls


def _sample(name: str, parameter: str) -> str:
    kinds = {p["name"]: p["schema"] for p in DOCUMENTED[name].get("parameters", [])}
    schema = kinds.get(parameter, {})
    if schema.get("format") == "uuid":
        return str(uuid4())
    return "1" if schema.get("type") == "integer" else "name"


def expected(name: str, actor: str) -> int | None:
    """Return the status before any object is looked up, or None if this actor may continue."""
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


def client_of(actor: str, planted: Planted) -> APIClient:
    client = new_client()
    client.raise_request_exception = False
    if actor != "anonymous":
        client.credentials(HTTP_AUTHORIZATION=bearer_of(actor, planted))
    return client


def bearer_of(actor: str, planted: Planted) -> str:
    """Return the Authorization header of this kind of caller."""
    if actor.endswith("key"):
        return f"Bearer {planted[actor]}"
    return f"Bearer {tokens.issue(planted.claims[actor])}"


def own_call(name: str, case: Case, planted: Planted) -> Call:
    path, query = own_address(name, case, planted)
    return Call(path, query, case.body(planted) if case.body else None)


def own_address(name: str, case: Case, planted: Planted) -> tuple[str, dict[str, Any]]:
    """Return the path and the query. A body may need rows of the database."""
    path, _ = OPERATIONS[name]
    values = {k: planted[v] for k, v in case.path.items()} | dict(case.fixed)
    filled = re.sub(r"\{(\w+)\}", lambda found: str(values.pop(found[1])), path)
    return filled, {k: planted[v] for k, v in case.query.items()} | values


def make(call: Call, actor: str, name: str, case: Case, planted: Planted) -> Any:
    """Send the request and roll its changes back."""
    _, method = OPERATIONS[name]
    with undone():
        client = client_of(actor, planted)
        client.cookies.load(case.cookies(planted))
        send = getattr(client, method)
        if method == "get":
            answer = send(call.path, call.query, **case.headers(planted))
        else:
            answer = send(call.path, call.body or {}, **case.headers(planted))
        answer.whole = b"".join(answer.streaming_content) if answer.streaming else answer.content
        return answer


def misdirected(
    ours: Call, theirs: Call, case: Case, stage: Stage
) -> Iterator[tuple[str, Call, Call]]:
    """Yield for each id of the call: its position, the call with another org's id there, the call with an unknown
    id.
    """
    for parameter, thing in case.path.items():
        own, foreign = stage.ours[thing], stage.theirs[thing]
        if own != foreign:
            yield (
                f"path {parameter}",
                Call(ours.path.replace(own, foreign), ours.query, ours.body),
                Call(ours.path.replace(own, nobodys(own)), ours.query, ours.body),
            )
    for parameter in case.query:
        yield (
            f"query {parameter}",
            Call(ours.path, {**ours.query, parameter: theirs.query[parameter]}, ours.body),
            Call(ours.path, {**ours.query, parameter: str(uuid4())}, ours.body),
        )
    for place in ids_in(ours.body):
        foreign_id = at(theirs.body, place)
        yield (
            f"body {'.'.join(map(str, place))}",
            Call(ours.path, ours.query, put(ours.body, place, foreign_id)),
            Call(ours.path, ours.query, put(ours.body, place, str(uuid4()))),
        )


def nobodys(own: str) -> str:
    return str(uuid4()) if is_id(own) else uuid4().hex


def is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False


def ids_in(body: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if is_id(body):
        yield place
    inner = (
        body.items()
        if isinstance(body, dict)
        else enumerate(body if isinstance(body, list) else [])
    )
    for key, value in inner:
        yield from ids_in(value, (*place, key))


def at(body: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        body = body[key]
    return body


def put(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = put(copy[place[0]], place[1:], value)
    return copy


def refuse_leaks(answer: Any, theirs: Planted) -> None:
    """Assert that a response contains nothing of the other org, neither texts nor ids."""
    shown = answer.whole + str(answer.headers).encode()
    assert theirs.canary.encode() not in shown
    found = [name for name, value in theirs.ids.items() if str(value).encode() in shown]
    assert not found, f"another org's {found}"


def same(one: Any, other: Any, case: Case) -> None:
    assert one.status_code == other.status_code
    first, second = (
        re.sub(case.varies, b"", a.whole) if case.varies else a.whole for a in (one, other)
    )
    assert first == second
    differing = {"Content-Length"} if case.varies else set()
    assert _headers(one, differing) == _headers(other, differing)


def _headers(answer: Any, but: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in but}


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) | set(CASES)))
def test_every_operation_has_a_case_and_every_case_an_operation(name: str) -> None:
    assert name in CASES, (
        f"{name} has no case: add one to tests/isolation/cases.py (its docstring says how)"
    )
    assert name in OPERATIONS, f"the case {name} is stale: there is no such operation"


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(CASES)))
def test_the_case_holds_every_id_the_operation_takes(name: str, stage: Stage) -> None:
    from apps.web import openapi

    operation, case = DOCUMENTED[name], CASES[name]
    for parameter in operation.get("parameters", []):
        if parameter["schema"].get("format") == "uuid":
            assert parameter["name"] in case.path.keys() | case.query.keys(), parameter["name"]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    wanted = set(uuid_fields(content.get("schema", {}), openapi.document()["components"]))
    held = {
        tuple(k for k in place if isinstance(k, str))
        for place in ids_in(own_call(name, case, stage.ours).body)
    }
    assert wanted <= held, f"the body lacks {wanted - held}"


def uuid_fields(
    schema: Any, components: Any, place: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Return the paths of body fields that contain ids."""
    if name := schema.get("$ref"):
        yield from uuid_fields(components["schemas"][name.rpartition("/")[2]], components, place)
    if schema.get("format") == "uuid" and place:
        yield place
    for word in ("allOf", "oneOf", "anyOf"):
        for part in schema.get(word, []):
            yield from uuid_fields(part, components, place)
    if "items" in schema:
        yield from uuid_fields(schema["items"], components, place)
    for field, inner in schema.get("properties", {}).items():
        yield from uuid_fields(inner, components, (*place, field))


@pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", sorted(set(OPERATIONS) & set(CASES)))
def test_an_operation_follows_the_permission_table(name: str, thorough: bool, stage: Stage) -> None:
    """`thorough` sends both wrong ids as everyone. Else who is refused anyway sends one of them, in turns, and of
    the others the first sends the unknown id: foreign ids of all of them must answer the same."""
    case = CASES[name]
    call, theirs = own_call(name, case, stage.ours), own_call(name, case, stage.theirs)
    wrong = list(misdirected(call, theirs, case, stage))
    unknown_answers: dict[Any, Any] = {}
    for turn, actor in enumerate(ACTORS):
        refused = expected(name, actor)
        answer = make(call, actor, name, case, stage.ours)
        wanted = refused or case.differs.get(actor, case.status)
        assert answer.status_code == wanted, (actor, answer.whole)
        refuse_leaks(answer, stage.theirs)
        for place, foreign_call, unknown_call in wrong:
            if refused and not thorough:
                alike = make((foreign_call, unknown_call)[turn % 2], actor, name, case, stage.ours)
                same(alike, answer, case)
                continue
            foreign = make(foreign_call, actor, name, case, stage.ours)
            kind = (place, actor if thorough else case.differs.get(actor))
            if kind not in unknown_answers:
                unknown_answers[kind] = make(unknown_call, actor, name, case, stage.ours)
            same(foreign, unknown_answers[kind], case)
            refuse_leaks(foreign, stage.theirs)
            usual = {"path": 404, "query": case.status, "body": case.unknown}[place.split()[0]]
            wanted = refused or case.unread.get(place, usual)
            assert foreign.status_code == wanted, (actor, place, foreign.whole)


IN_A_DOMAIN = ("connector", "sealed_connector", "destination", "pipeline", "paused", "busy")
OF_A_PIPELINE = ("run", "live_run")
OF_AN_ORG = [
    name for name in sorted(set(OPERATIONS) & set(CASES)) if issubclass(view_of(name), OrgView)
]


@pytest.mark.parametrize("name", OF_AN_ORG)
def test_a_key_for_one_domain_sees_and_touches_nothing_of_the_others(
    name: str, stage: Stage
) -> None:
    case, ours = CASES[name], stage.ours
    answer = make(own_call(name, case, ours), "elsewhere_key", name, case, ours)
    assert answer.status_code < 500
    hidden = {*IN_A_DOMAIN, *OF_A_PIPELINE}
    if hidden & set(case.path.values()):
        assert answer.status_code in {403, 404}, answer.whole
    sent = str(own_call(name, case, ours).body)
    for thing in hidden:
        assert ours[thing] in sent or ours[thing].encode() not in answer.whole, thing
