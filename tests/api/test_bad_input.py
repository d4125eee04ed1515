"""Invalid bodies, parameters and paths: a problem that names the error, never a 500.

Every operation of the document gets invalid bodies, and each field of its body each wrong value: together with all
other fields, and some values alone, different ones for each field. `make test-long` sends each value alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import transaction
from pytest_django.plugin import DjangoDbBlocker
from rest_framework.test import APIClient

from apps.orgs.roles import Role
from apps.web import openapi
from tests.isolation.cases import CASES
from tests.isolation.planted import Planted, plant
from tests.isolation.test_matrix import (
    DOCUMENTED,
    OPERATIONS,
    client_of,
    own_address,
    own_call,
    undone,
)
from tests.world import World

SCIM = {name for name, (path, _) in OPERATIONS.items() if "/scim/v2/" in path}
WITH_BODY = sorted(name for name, operation in DOCUMENTED.items() if "requestBody" in operation)
MEGABYTE = "x" * 1_000_000  # a body may have two of these


@pytest.fixture(scope="module")
def planted(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Planted]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield plant()
        transaction.set_rollback(True)


def send(planted: Planted, name: str, body: bytes, kind: str = "application/json") -> Any:
    _, method = OPERATIONS[name]
    case = CASES[name]
    path, _ = own_address(name, case, planted)
    with undone():
        client: APIClient = client_of(Role.OWNER, planted)
        client.cookies.load(case.cookies(planted))
        more: dict[str, Any] = case.headers(planted)
        sent: Any = body
        return client.generic(method, path, sent, content_type=kind, **more)


def problem(answer: Any, status: int) -> dict[str, Any]:
    if answer["Content-Type"] == "application/scim+json":
        return scim_problem(answer, status)
    assert answer.status_code == status, answer.content[:500]
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return body


def scim_problem(answer: Any, status: int) -> dict[str, Any]:
    """SCIM's error format, which has no 422 and names fields only in its text."""
    status = 400 if status == 422 else status
    assert answer.status_code == status, answer.content[:500]
    body: dict[str, Any] = answer.json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["status"] == str(status)
    assert body["detail"]
    return {**body, "errors": []}


def fields(body: dict[str, Any]) -> list[str]:
    return [error["field"] for error in body["errors"]]


def some(values: tuple[Any, ...], count: int, turn: int) -> list[Any]:
    """Return `count` of the values, the next ones at each call; all of them if `count` is large enough."""
    return [values[(turn * count + n) % len(values)] for n in range(min(count, len(values)))]


EVERY = pytest.param(100, marks=pytest.mark.long)
BROKEN = (
    b"{",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b'{"a": "\xff\xfe"}',  # not UTF-8
    b'{"a": "\\ud800"}',  # half a surrogate pair
    b"[]",
    b'"text"',
    b"null",
    b'{"a":' * 200 + b"1" + b"}" * 200,
    b"[" * 100_000,
)


@pytest.mark.parametrize("count", [3, EVERY])
@pytest.mark.parametrize("name", WITH_BODY)
def test_a_broken_body_answers_400(planted: Planted, name: str, count: int) -> None:
    for body in some(BROKEN, count, WITH_BODY.index(name)):
        problem(send(planted, name, body), 400)


@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_that_is_too_large_answers_413(planted: Planted, name: str) -> None:
    problem(send(planted, name, b'{"name": "' + b"x" * (2 << 20) + b'"}'), 413)


KINDS = ("text/plain", "application/x-www-form-urlencoded", "", "a/b/c")


@pytest.mark.parametrize("count", [1, EVERY])
@pytest.mark.parametrize("name", WITH_BODY)
def test_a_body_of_another_kind_answers_415(planted: Planted, name: str, count: int) -> None:
    for kind in some(KINDS, count, WITH_BODY.index(name)):
        problem(send(planted, name, b'{"name": "x"}', kind), 415)


@pytest.mark.parametrize("name", sorted(set(WITH_BODY) & SCIM))
def test_nul_in_a_body_of_scim_is_named(planted: Planted, name: str) -> None:
    nul = send(planted, name, b'{"name": {"x": ["a", "b\\u0000"]}}')
    assert "name.x.1" in problem(nul, 400)["detail"]


@pytest.mark.parametrize("name", sorted(set(WITH_BODY) - SCIM))
def test_an_unknown_field_and_nul_are_named(planted: Planted, name: str) -> None:
    answer = send(planted, name, b'{"no_such_field": 1}')
    assert "no_such_field" in fields(invalid(answer, name))
    nul = send(planted, name, b'{"name": {"x": ["a", "b\\u0000"]}}')
    assert fields(invalid(nul, name)) == ["name.x.1"]
    key = send(planted, name, b'{"a\\u0000": 1}')
    assert fields(invalid(key, name)) == ["a\\0"]


def invalid(answer: Any, name: str) -> dict[str, Any]:
    """Return the 422, or the success response of an operation that reports errors in it."""
    if name == "pipelines_validate":
        shown: dict[str, Any] = answer.json()
        return shown
    return problem(answer, 422)


WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1.5,
    10**26,
    -(2**63) - 1,
    "",
    " ",
    "🦉" * 2000,
    "\u202e\u0007\x7f",
    str(uuid4()),
    [],
    [[]],
    {},
    {"a": {"b": []}},
    "9" * 400,
    "2024-13-45T99:99:99Z",
)


def body_fields(name: str) -> list[str]:
    content = DOCUMENTED[name]["requestBody"]["content"]["application/json"]
    reference = content["schema"].get("$ref", "").rpartition("/")[2]
    schema = openapi.document()["components"]["schemas"].get(reference, {})
    return sorted(schema.get("properties", {}))


WITH_FIELDS = [name for name in WITH_BODY if body_fields(name)]
WITH_SEVERAL = [name for name in WITH_FIELDS if len(body_fields(name)) > 1]
FIELDS = [(name, field) for name in WITH_SEVERAL for field in body_fields(name)]


@pytest.mark.parametrize("name", WITH_FIELDS)
def test_a_wrong_value_in_every_field_never_answers_500_and_its_problem_names_one(
    planted: Planted, name: str
) -> None:
    good = own_call(name, CASES[name], planted).body or {}
    every = body_fields(name)
    for value in WRONG:
        body = {**good, **dict.fromkeys(every, _exact(value))}
        refuses_or_takes(planted, name, body, set(every))


@pytest.mark.parametrize("count", [3, EVERY])
@pytest.mark.parametrize("name", WITH_SEVERAL)
def test_a_wrong_value_alone_never_answers_500_and_its_problem_names_the_field(
    planted: Planted, name: str, count: int
) -> None:
    good = own_call(name, CASES[name], planted).body or {}
    for field in body_fields(name):
        for value in some(WRONG, count, FIELDS.index((name, field))):
            refuses_or_takes(planted, name, {**good, field: _exact(value)}, {field})


@pytest.mark.parametrize("name", WITH_FIELDS)
def test_a_megabyte_in_every_field_never_answers_500_and_its_problem_names_one(
    planted: Planted, name: str
) -> None:
    """Send it once as text and once in a list: each field alone would be the same work for the parser."""
    good = own_call(name, CASES[name], planted).body or {}
    every = body_fields(name)
    share = len(MEGABYTE) // len(every)
    for value in (MEGABYTE[:share], [MEGABYTE[:share]]):
        refuses_or_takes(planted, name, {**good, **dict.fromkeys(every, value)}, set(every))


def refuses_or_takes(planted: Planted, name: str, body: dict[str, Any], wrong: set[str]) -> None:
    """The response is a documented one, and a 422 names one of the wrong fields."""
    answer = send(planted, name, orjson.dumps(body))
    assert answer.status_code < 500, (body, answer.content[:300])
    assert str(answer.status_code) in DOCUMENTED[name]["responses"], (body, answer.content[:300])
    if answer.status_code != 422:
        return
    named = fields(problem(answer, 422))
    assert all(named)
    if "config" in wrong:  # its errors are paths inside it, like source.config.port
        return
    assert any(one.startswith(tuple(wrong)) for one in named), (body, named)


def _exact(value: Any) -> Any:
    """orjson encodes integers up to 64 bits; larger ones are inserted as text."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return orjson.Fragment(str(value).encode())
    return value


QUERIES = [
    (name, parameter["name"])
    for name, operation in sorted(DOCUMENTED.items())
    for parameter in operation.get("parameters", [])
    if parameter["in"] == "query" and parameter["name"] != "ticket"
]


BAD = ("", "\0", "x" * 5000, "9" * 26, "-1", "🦉", "1.5", "null", "[]", "\ud800")


@pytest.mark.parametrize("count", [4, EVERY])
@pytest.mark.parametrize(("name", "parameter"), QUERIES)
def test_a_wrong_parameter_never_answers_500(
    planted: Planted, name: str, parameter: str, count: int
) -> None:
    path, _ = own_address(name, CASES[name], planted)
    for value in some(BAD, count, QUERIES.index((name, parameter))):
        with undone():
            client = client_of(Role.OWNER, planted)
            text = value.encode("utf-8", "surrogatepass")
            answer: Any = client.get(path, {parameter: text})
        assert answer.status_code < 500, value
        if answer.status_code >= 400:
            body = problem(answer, answer.status_code)
            assert str(answer.status_code) in DOCUMENTED[name]["responses"], value
            assert fields(body) in ([parameter], []), value


# Streams ignore unknown parameters, as EventSource requires; a download is requested by its link.
NOT_LISTS = {"runs_events", "events"}
LISTS = sorted(
    {
        name
        for name, parameter in QUERIES
        if OPERATIONS[name][1] == "get" and parameter not in {"cursor", "limit", "order"}
    }
    - NOT_LISTS
    - SCIM  # directories send additional parameters
)


@pytest.mark.parametrize("name", LISTS)
def test_an_unknown_parameter_of_a_list_is_named(planted: Planted, name: str) -> None:
    with undone():
        call = own_call(name, CASES[name], planted)
        answer = client_of(Role.OWNER, planted).get(call.path, {"no_such_parameter": "1"})
    assert fields(problem(answer, 400)) == ["no_such_parameter"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing",
        "/api/v1/org/domains/not-a-uuid",
        "/api/v1/org/domains/%00",
        "/api/v1/runs/%F0%9F%A6%89",
        "/api/v1/runs/" + "9" * 5000,
        "/api/v1/pipelines/00000000-0000-0000-0000-000000000000/versions/" + "9" * 26,
        "/api/v1/pipelines/00000000-0000-0000-0000-000000000000/versions/-1",
        "/api/v1/catalog/sources/%00",
        "/api/v1/scim/v2/Users/not-a-uuid",
        "/api/v1/scim/v2/Schemas/%00",
        "/api/v1/scim/v2/Nothing",
    ],
)
def test_a_path_that_is_nothing_answers_404(world: World, path: str) -> None:
    problem(world.client(Role.OWNER).get(path), 404)


def test_a_file_name_that_cannot_be_answers_404_or_422(planted: Planted) -> None:
    with undone():
        client = client_of(Role.OWNER, planted)
        answer = client.get(f"/api/v1/runs/{planted['run']}/outputs/%00")
        assert answer.status_code in {404, 422}
        answer = client.get(f"/api/v1/runs/{planted['run']}/outputs/../../../etc/passwd")
        assert answer.status_code == 404


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer " + "x" * 9000,
        "Bearer a.b.c",
        "Bearer drv_",
        "Basic YTpi",
        "bearer \x80",
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30.",
    ],
)
def test_a_broken_credential_answers_401(db: None, header: str) -> None:
    answer = APIClient().get("/api/v1/org", HTTP_AUTHORIZATION=header)
    assert "WWW-Authenticate" in answer
    problem(answer, 401)


@pytest.mark.parametrize("method", ["options", "put", "delete", "trace", "patch"])
def test_a_method_that_is_not_there_answers_405(world: World, method: str) -> None:
    answer = world.client(Role.OWNER).generic(method.upper(), "/api/v1/org/members")
    problem(answer, 405)
    assert "GET" in answer["Allow"]


def test_accept_and_format_do_not_matter(world: World) -> None:
    client = world.client(Role.OWNER)
    for wanted in ("text/html", "nonsense"):
        answer = client.get("/api/v1/org", HTTP_ACCEPT=wanted)
        assert answer["Content-Type"] == "application/json"


def test_a_stranger_host_cannot_use_the_cookie(db: None) -> None:
    """DNS rebinding: the page's origin is its own, and its Host header names a host that is not ours."""
    answer = APIClient().post(
        "/api/v1/auth/refresh",
        {},
        HTTP_HOST="evil.example",
        HTTP_ORIGIN="http://evil.example",
        HTTP_X_REQUESTED_WITH="drover",
    )
    problem(answer, 400)


def test_our_mistake_is_a_problem_without_a_trace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.orgs.members import views

    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(views, "of_time", broken)
    client = world.client(Role.OWNER)
    client.raise_request_exception = False
    answer = client.get("/api/v1/org")
    problem(answer, 500)
    assert "secret detail" not in answer.content.decode()


def test_a_database_that_is_away_answers_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    from apps.orgs import credentials

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused\nDETAIL: password=hunter2")

    monkeypatch.setattr(credentials, "load", away)
    answer = world.client(Role.OWNER).get("/api/v1/org")
    body = problem(answer, 503)
    assert "hunter2" not in str(body)
    assert answer["Retry-After"] == "5"


def test_a_body_of_too_many_values_is_refused_before_it_is_read(world: World) -> None:
    bomb = b'{"name": [' + b"{}," * 300_000 + b"{}]}"
    answer = world.client().post("/api/v1/connectors", bomb, content_type="application/json")
    assert answer.status_code == 400
    assert "values" in answer.json()["detail"]
