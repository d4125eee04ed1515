"""Invalid bodies, parameters and paths get a problem that names the error, and never a 500.

Every operation of the API document is sent invalid bodies. Half of the wrong values are sent in all fields at once, and
some in a single field; each operation and each field gets different ones. `make test-long` sends every value.
"""

from __future__ import annotations

import re
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
from tests.isolation.planted import PlantedOrg, plant
from tests.isolation.test_matrix import (
    OPERATION_OBJECTS,
    OPERATIONS,
    client_of,
    own_address,
    own_call,
    roll_back,
)
from tests.world import World

SCIM_OPERATIONS = {name for name, (path, _) in OPERATIONS.items() if "/scim/v2/" in path}
# Uploads of files have any bytes as their body (tests/connectors/files).
OPERATIONS_WITH_BODY = sorted(
    name
    for name, operation in OPERATION_OBJECTS.items()
    if "application/json" in operation.get("requestBody", {}).get("content", {})
)
MEGABYTE = "x" * 1_000_000  # half of the largest allowed body


@pytest.fixture(scope="module")
def planted(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[PlantedOrg]:
    with django_db_blocker.unblock(), transaction.atomic():
        yield plant()
        transaction.set_rollback(True)


def send(planted: PlantedOrg, name: str, body: bytes, media_type: str = "application/json") -> Any:
    _, method = OPERATIONS[name]
    case = CASES[name]
    path, _ = own_address(name, case, planted)
    with roll_back():
        client: APIClient = client_of(Role.OWNER, planted)
        client.cookies.load(case.cookies(planted))
        headers: dict[str, Any] = case.headers(planted)
        untyped_body: Any = body
        return client.generic(method, path, untyped_body, content_type=media_type, **headers)


def read_problem(answer: Any, status: int) -> dict[str, Any]:
    if answer["Content-Type"] == "application/scim+json":
        return read_scim_problem(answer, status)
    assert answer.status_code == status, answer.content[:500]
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["detail"]
    return body


def read_scim_problem(answer: Any, status: int) -> dict[str, Any]:
    """Check and return an error in SCIM's format, which has no status 422 and names fields only in its text."""
    status = 400 if status == 422 else status
    assert answer.status_code == status, answer.content[:500]
    body: dict[str, Any] = answer.json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["status"] == str(status)
    assert body["detail"]
    return {**body, "errors": []}


def error_fields(body: dict[str, Any]) -> list[str]:
    return [error["field"] for error in body["errors"]]


def take_some(values: tuple[Any, ...], count: int, turn: int) -> list[Any]:
    """Return `count` of the values: the first ones for turn 0, the next ones for turn 1, and so on.

    All values are returned if there are no more than `count`.
    """
    return [values[(turn * count + n) % len(values)] for n in range(min(count, len(values)))]


ALL_VALUES = pytest.param(100, marks=pytest.mark.long)
BROKEN_BODIES = (
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


@pytest.mark.sample(4)
@pytest.mark.parametrize("count", [3, ALL_VALUES])
@pytest.mark.parametrize("name", OPERATIONS_WITH_BODY)
def test_a_broken_body_gets_400(planted: PlantedOrg, name: str, count: int) -> None:
    for body in take_some(BROKEN_BODIES, count, OPERATIONS_WITH_BODY.index(name)):
        read_problem(send(planted, name, body), 400)


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", OPERATIONS_WITH_BODY)
def test_a_body_that_is_too_large_gets_413(planted: PlantedOrg, name: str) -> None:
    read_problem(send(planted, name, b'{"name": "' + b"x" * (2 << 20) + b'"}'), 413)


WRONG_MEDIA_TYPES = ("text/plain", "application/x-www-form-urlencoded", "", "a/b/c")


@pytest.mark.sample(4)
@pytest.mark.parametrize("count", [1, ALL_VALUES])
@pytest.mark.parametrize("name", OPERATIONS_WITH_BODY)
def test_a_body_of_another_media_type_gets_415(planted: PlantedOrg, name: str, count: int) -> None:
    for media_type in take_some(WRONG_MEDIA_TYPES, count, OPERATIONS_WITH_BODY.index(name)):
        read_problem(send(planted, name, b'{"name": "x"}', media_type), 415)


@pytest.mark.parametrize("name", sorted(set(OPERATIONS_WITH_BODY) & SCIM_OPERATIONS))
def test_the_error_names_the_field_of_a_nul_character_in_a_scim_body(
    planted: PlantedOrg, name: str
) -> None:
    nul = send(planted, name, b'{"name": {"x": ["a", "b\\u0000"]}}')
    assert "name.x.1" in read_problem(nul, 400)["detail"]


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", sorted(set(OPERATIONS_WITH_BODY) - SCIM_OPERATIONS))
def test_the_error_names_an_unknown_field_and_the_field_of_a_nul_character(
    planted: PlantedOrg, name: str
) -> None:
    answer = send(planted, name, b'{"no_such_field": 1}')
    assert "no_such_field" in error_fields(read_invalid(answer, name))
    nul = send(planted, name, b'{"name": {"x": ["a", "b\\u0000"]}}')
    assert error_fields(read_invalid(nul, name)) == ["name.x.1"]
    key = send(planted, name, b'{"a\\u0000": 1}')
    assert error_fields(read_invalid(key, name)) == ["a\\0"]


def read_invalid(answer: Any, name: str) -> dict[str, Any]:
    """Return the 422, or the success response of an operation that reports errors in it."""
    if name == "pipelines_validate":
        report: dict[str, Any] = answer.json()
        return report
    return read_problem(answer, 422)


WRONG_VALUES: tuple[Any, ...] = (
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
    content = OPERATION_OBJECTS[name]["requestBody"]["content"]["application/json"]
    reference = content["schema"].get("$ref", "").rpartition("/")[2]
    schema = openapi.document()["components"]["schemas"].get(reference, {})
    return sorted(schema.get("properties", {}))


OPERATIONS_WITH_FIELDS = [name for name in OPERATIONS_WITH_BODY if body_fields(name)]
OPERATIONS_WITH_SEVERAL_FIELDS = [
    name for name in OPERATIONS_WITH_FIELDS if len(body_fields(name)) > 1
]
OPERATION_FIELDS = [
    (name, field) for name in OPERATIONS_WITH_SEVERAL_FIELDS for field in body_fields(name)
]


@pytest.mark.sample(4)
@pytest.mark.parametrize("count", [9, ALL_VALUES])
@pytest.mark.parametrize("name", OPERATIONS_WITH_FIELDS)
def test_a_wrong_value_in_all_fields_never_causes_a_500_and_the_problem_names_a_field(
    planted: PlantedOrg, name: str, count: int
) -> None:
    valid_body = own_call(name, CASES[name], planted).body or {}
    all_fields = body_fields(name)
    for value in take_some(WRONG_VALUES, count, OPERATIONS_WITH_FIELDS.index(name)):
        body = {**valid_body, **dict.fromkeys(all_fields, _encodable(value))}
        assert_documented_response(planted, name, body, set(all_fields))


@pytest.mark.sample(4)
@pytest.mark.parametrize("count", [3, ALL_VALUES])
@pytest.mark.parametrize("name", OPERATIONS_WITH_SEVERAL_FIELDS)
def test_a_wrong_value_in_one_field_never_causes_a_500_and_the_problem_names_the_field(
    planted: PlantedOrg, name: str, count: int
) -> None:
    example = own_call(name, CASES[name], planted).body or {}
    # A few examples are refused for what they ask for, such as a backfill of a stream that has none.
    answer = send(planted, name, orjson.dumps(example))
    refused = set(error_fields(read_problem(answer, 422))) if answer.status_code == 422 else set()
    for field in body_fields(name):
        for value in take_some(WRONG_VALUES, count, OPERATION_FIELDS.index((name, field))):
            assert_documented_response(
                planted, name, {**example, field: _encodable(value)}, {field} | refused
            )


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", OPERATIONS_WITH_FIELDS)
def test_a_megabyte_in_all_fields_never_causes_a_500_and_the_problem_names_a_field(
    planted: PlantedOrg, name: str
) -> None:
    """Send the megabyte once as text and once in lists, divided among all fields."""
    valid_body = own_call(name, CASES[name], planted).body or {}
    all_fields = body_fields(name)
    length = len(MEGABYTE) // len(all_fields)
    for value in (MEGABYTE[:length], [MEGABYTE[:length]]):
        assert_documented_response(
            planted, name, {**valid_body, **dict.fromkeys(all_fields, value)}, set(all_fields)
        )


def assert_documented_response(
    planted: PlantedOrg, name: str, body: dict[str, Any], wrong_fields: set[str]
) -> None:
    """Send the body and assert that the response is documented. A 422 must name one of the wrong fields."""
    answer = send(planted, name, orjson.dumps(body))
    assert answer.status_code < 500, (body, answer.content[:300])
    assert str(answer.status_code) in OPERATION_OBJECTS[name]["responses"], (
        body,
        answer.content[:300],
    )
    if answer.status_code != 422:
        return
    problem = read_problem(answer, 422)
    assert_plain_words(problem)
    reported = error_fields(problem)
    assert all(reported)
    if "config" in wrong_fields:  # an error names a path inside the config, like source.config.port
        return
    assert any(field.startswith(tuple(wrong_fields)) for field in reported), (body, reported)


# Words of Python, of the REST framework and of pydantic, which a user of the API does not know.
FRAMEWORK_WORDS = re.compile(
    r"NoneType|got type|ctionary|list of items|\bdict\b|\bstr\b|\bbool\b|\bfloat\b|Input should|Error\b|Not a valid"
    r"|A valid|valid boolean|is not a valid choice|wrong format|String value|None\b|True\b|False\b"
)


def assert_plain_words(problem: dict[str, Any]) -> None:
    messages = [problem["detail"], *(error["message"] for error in problem["errors"])]
    assert [message for message in messages if FRAMEWORK_WORDS.search(message)] == []


def _encodable(value: Any) -> Any:
    """Return a value that orjson can encode: integers of more than 64 bits become text fragments."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return orjson.Fragment(str(value).encode())
    return value


QUERY_PARAMETERS = [
    (name, parameter["name"])
    for name, operation in sorted(OPERATION_OBJECTS.items())
    for parameter in operation.get("parameters", [])
    if parameter["in"] == "query" and parameter["name"] != "ticket"
]


WRONG_PARAMETERS = ("", "\0", "x" * 5000, "9" * 26, "-1", "🦉", "1.5", "null", "[]", "\ud800")


@pytest.mark.sample(4)
@pytest.mark.parametrize("count", [4, ALL_VALUES])
@pytest.mark.parametrize(("name", "parameter"), QUERY_PARAMETERS)
def test_a_wrong_parameter_never_causes_a_500_and_the_problem_names_it(
    planted: PlantedOrg, name: str, parameter: str, count: int
) -> None:
    path, _ = own_address(name, CASES[name], planted)
    for value in take_some(WRONG_PARAMETERS, count, QUERY_PARAMETERS.index((name, parameter))):
        with roll_back():
            client = client_of(Role.OWNER, planted)
            text = value.encode("utf-8", "surrogatepass")
            answer: Any = client.get(path, {parameter: text})
        assert answer.status_code < 500, value
        if answer.status_code >= 400:
            body = read_problem(answer, answer.status_code)
            assert str(answer.status_code) in OPERATION_OBJECTS[name]["responses"], value
            assert error_fields(body) in ([parameter], []), value


# Streams ignore unknown parameters.
STREAM_OPERATIONS = {"runs_events", "events", "agent_conversations_events"}
LIST_OPERATIONS = sorted(
    {
        name
        for name, parameter in QUERY_PARAMETERS
        if OPERATIONS[name][1] == "get" and parameter not in {"cursor", "limit", "order"}
    }
    - STREAM_OPERATIONS
    - SCIM_OPERATIONS  # directories send additional parameters
)


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", LIST_OPERATIONS)
def test_the_error_names_an_unknown_parameter_of_a_list(planted: PlantedOrg, name: str) -> None:
    with roll_back():
        call = own_call(name, CASES[name], planted)
        answer = client_of(Role.OWNER, planted).get(call.path, {"no_such_parameter": "1"})
    assert error_fields(read_problem(answer, 400)) == ["no_such_parameter"]


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
def test_an_unknown_path_gets_404(world: World, path: str) -> None:
    read_problem(world.client(Role.OWNER).get(path), 404)


def test_an_impossible_file_name_gets_404_or_422(planted: PlantedOrg) -> None:
    with roll_back():
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
def test_a_broken_credential_gets_401(db: None, header: str) -> None:
    answer = APIClient().get("/api/v1/org", HTTP_AUTHORIZATION=header)
    assert "WWW-Authenticate" in answer
    read_problem(answer, 401)


@pytest.mark.parametrize("method", ["options", "put", "delete", "trace", "patch"])
def test_an_unsupported_method_gets_405(world: World, method: str) -> None:
    answer = world.client(Role.OWNER).generic(method.upper(), "/api/v1/org/members")
    read_problem(answer, 405)
    assert "GET" in answer["Allow"]


def test_the_response_is_json_whatever_the_accept_header_requests(world: World) -> None:
    client = world.client(Role.OWNER)
    for media_type in ("text/html", "nonsense"):
        answer = client.get("/api/v1/org", HTTP_ACCEPT=media_type)
        assert answer["Content-Type"] == "application/json"


def test_a_foreign_host_header_cannot_use_the_cookie(db: None) -> None:
    """Prevent DNS rebinding: the attacker's page and its requests have the same origin, but a foreign host."""
    answer = APIClient().post(
        "/api/v1/auth/refresh",
        {},
        HTTP_HOST="evil.example",
        HTTP_ORIGIN="http://evil.example",
        HTTP_X_REQUESTED_WITH="drover",
    )
    read_problem(answer, 400)


def test_an_unexpected_error_gets_500_and_its_message_is_not_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.orgs.members import views

    def fail(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(views, "version_of_time", fail)
    client = world.client(Role.OWNER)
    client.raise_request_exception = False
    answer = client.get("/api/v1/org")
    read_problem(answer, 500)
    assert "secret detail" not in answer.content.decode()


def test_an_unavailable_database_gets_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    from apps.orgs import credentials

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused\nDETAIL: password=hunter2")

    monkeypatch.setattr(credentials, "load_principal", fail)
    answer = world.client(Role.OWNER).get("/api/v1/org")
    body = read_problem(answer, 503)
    assert "hunter2" not in str(body)
    assert answer["Retry-After"] == "5"


def test_a_body_with_too_many_values_gets_400(world: World) -> None:
    body = b'{"name": [' + b"{}," * 300_000 + b"{}]}"
    answer = world.client().post("/api/v1/connectors", body, content_type="application/json")
    assert answer.status_code == 400
    assert "values" in answer.json()["detail"]


# Wrong bodies whose errors come from each place that finds them: serializers, definitions, positions, windows, schemas.
WRONG_BODIES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("pipelines_create", {"name": ["x"], "config": {}}, {"name"}),
    ("pipelines_create", {"name": "x", "config": []}, {"config"}),
    ("pipelines_create", {"name": "x", "config": {"source": [], "streams": {}}}, {"config.source", "source"}),
    ("pipelines_create", {"name": "x", "config": {}, "enabled": "perhaps"}, {"enabled"}),
    ("pipelines_create", {"name": "x", "config": {}, "max_attempts": {}}, {"max_attempts"}),
    ("pipelines_state_put", {"state": []}, {"state"}),
    ("pipelines_state_put", {"state": None, "stream": {}}, {"state", "stream"}),
    ("pipelines_state_restore", {"change": 1, "side": {"a": 1}}, {"change", "side"}),
    ("pipelines_backfills_create", {"streams": {}}, {"streams"}),
    ("pipelines_backfills_create", {"streams": [None, {}]}, {"streams"}),
    ("pipelines_backfills_create", {"streams": ["x"], "from": {}, "rows_per_chunk": "many"}, {"from", "rows_per_chunk"}),
    ("connectors_create", {"role": "both", "kind": None, "name": {}, "config": "x"}, {"role"}),
    ("connectors_create", {"role": "source", "kind": "postgres", "name": "x", "config": {"port": {}, "schemas": "x"}}, {"config.port", "config.schemas"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "fields"), WRONG_BODIES)
def test_the_error_of_a_wrong_body_has_plain_words(
    planted: PlantedOrg, name: str, body: dict[str, Any], fields: set[str]
) -> None:
    problem = read_problem(send(planted, name, orjson.dumps(body)), 422)
    reported = {field for error in error_fields(problem) for field in _beginnings(error)}
    assert reported & fields, problem
    assert_plain_words(problem)


def _beginnings(field: str) -> Iterator[str]:
    steps = field.split(".")
    for count in range(1, len(steps) + 1):
        yield ".".join(steps[:count])


def test_the_error_of_a_choice_lists_what_is_allowed(planted: PlantedOrg) -> None:
    body = orjson.dumps({"change": str(uuid4()), "side": "between"})
    problem = read_problem(send(planted, "pipelines_state_restore", body), 422)
    assert problem["errors"][0]["message"] == "Must be one of before, after."
