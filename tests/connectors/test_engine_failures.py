"""Every failed call of the engine returns an error: 422 if the code caused it, 503 if Drover did."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from apps.connectors import engine
from apps.engine import EngineSupervisor
from apps.orgs.roles import Role
from tests.world import World

VALIDATE = "/api/v1/custom-sources/validate"
FIRST_CLASS = "import drover\nclass A0(drover.RestSource): ...\n"


@pytest.fixture(scope="module")
def erratic_engine() -> Iterator[EngineSupervisor]:
    supervisor = EngineSupervisor(preload=("tests.engine.erratic",), memory=768 << 20)
    yield supervisor
    supervisor.close()


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        ("recursion", 422, "RecursionError"),
        ("memory", 422, "not have enough memory"),
        ("cpu", 422, "takes too long"),
        ("exit", 422, "exit code 3"),
        ("segfault", 422, "SIGSEGV"),
        ("bug", 422, "KeyError"),
        ("system exit", 422, "exit code"),
        ("garbage", 503, "line protocol"),
        ("silence", 503, "too busy"),
        ("killed", 503, "SIGKILL"),
        ("fork server", 503, "fork server ended"),
    ],
)
def test_every_failure_of_a_child_process_returns_an_error(
    world: World,
    erratic_engine: EngineSupervisor,
    monkeypatch: pytest.MonkeyPatch,
    failure: str,
    status: int,
    message: str,
) -> None:
    monkeypatch.setattr(engine, "supervisor", lambda: erratic_engine)
    monkeypatch.setattr(engine, "VALIDATE_CPU_SECONDS", 1)
    if failure == "silence":
        monkeypatch.setattr(engine, "VALIDATE_SECONDS", 0.5)
    answer = world.client(Role.MEMBER).post(VALIDATE, {"code": failure})
    assert answer.status_code == status, answer.content
    body = answer.json()
    assert message in str(body)
    if status == 503:
        assert int(answer["Retry-After"]) > 0
    else:
        assert [error["field"] for error in body["errors"]] == ["code"]


def test_every_call_returns_503_when_the_engine_cannot_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_engine = EngineSupervisor(preload=("no.such.module",))
    monkeypatch.setattr(engine, "supervisor", lambda: failing_engine)
    source = {"kind": "dummy", "config": {}}
    config = {"source": source, "streams": [{"stream": "creatures"}]}
    client = world.client(Role.MEMBER)
    answers = [
        client.post(VALIDATE, {"code": "x = 1"}),
        client.post("/api/v1/custom-sources", {"name": "A", "code": "x = 1"}),
        client.post("/api/v1/custom-sources/upload", {"filename": "a.py", "content": "eD0x"}),
        client.post("/api/v1/custom-sources/preview", {"code": "x = 1", "stream": "a"}),
        client.post("/api/v1/pipelines/preview", {"config": config}),
        client.post("/api/v1/connectors/check", {"role": "source", "kind": "dummy", "config": {}}),
    ]
    try:
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
            (503, "unavailable")
        ] * 6
    finally:
        failing_engine.close()


EXTREME_CODE: dict[str, Callable[[], str]] = {
    "a chain of classes": lambda: (
        FIRST_CLASS + "".join(f"class A{n}(A{n - 1}): ...\n" for n in range(1, 8000))
    ),
    "a ring of classes": lambda: "".join(
        f"class A{n}(A{(n + 1) % 8000}): ...\n" for n in range(8000)
    ),
    "diamonds": lambda: (
        FIRST_CLASS
        + "class B0(A0): ...\n"
        + "".join(
            f"class A{n}(A{n - 1}, B{n - 1}): ...\nclass B{n}(B{n - 1}, A{n - 1}): ...\n"
            for n in range(1, 4000)
        )
    ),
    "a long dotted name": lambda: f"class A(a{'.b' * 2500}): ...\n",
    "nested signs": lambda: f"x = {'-' * 100_000}1\n",
    "nested types": lambda: (
        FIRST_CLASS + "  class Config:\n    a: " + "list[" * 150 + "int" + "]" * 150 + "\n"
    ),
    "a huge integer": lambda: (
        FIRST_CLASS.replace("...", "\n  class Config:\n    a: int = 0x").rstrip("\n")
        + "f" * 400_000
        + "\n"
    ),
    "many unknown modules": lambda: "".join(f"import q{n}\n" for n in range(35_000)),
    "a long unknown module": lambda: f"import {'q' * 500_000}\n",
    "many addresses": lambda: f"x = '{' '.join(f'https://h{n}.example' for n in range(20_000))}'\n",
    "half a placeholder": lambda: f"x = 'https://{{{'a' * 500_000}'\n",
    "a surrogate and a NUL": lambda: FIRST_CLASS.replace("...", r"streams = ['\ud800', '\0']"),
}


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", EXTREME_CODE)
def test_extreme_code_is_validated_quickly_and_without_an_internal_error(
    world: World, name: str
) -> None:
    """The CPU time of a validation is limited, so a report proves that parsing was fast."""
    code = EXTREME_CODE[name]()
    client = world.client(Role.MEMBER)
    answer = client.post(VALIDATE, {"code": code})
    assert answer.status_code == 200, answer.content
    assert isinstance(answer.json()["valid"], bool)
    created = client.post("/api/v1/custom-sources", {"name": "A", "code": code})
    assert created.status_code in {201, 422}, created.content
