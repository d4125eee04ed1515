"""Planted secrets: in no response, no audit row, and nowhere in the text of the database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from apps.connectors import engine
from apps.orgs.roles import Role
from tests import database as suite
from tests.pipelines.test_pipelines import config
from tests.world import make_world

IN_CONNECTOR = "canaryconnector4c81fe02"
IN_CONNECTOR_LATER = "canaryreplaced97d01b6a"
IN_PIPELINE = "canarypipeline5be2a7c3"
IN_WRONG_PLACE = "canarymisplaced6fd3b8e4"
CANARIES = [IN_CONNECTOR, IN_CONNECTOR_LATER, IN_PIPELINE, IN_WRONG_PLACE]


@pytest.fixture(autouse=True)
def _supervisor() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def postgres(password: str) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": 1,
        "database": "shop",
        "user": "reader",
        "password": password,
        "connect_timeout": 1,
    }


def test_no_answer_and_no_text_of_the_database_holds_a_secret(committed_db: None) -> None:
    world = make_world()
    client = world.client(Role.OWNER)
    answers: list[Any] = []

    def ask(method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = getattr(client, method)(f"/api/v1/{path}", body, headers=headers)
        answers.append(answer)
        return answer

    saved = {"name": "Shop", "role": "source", "kind": "postgres", "config": postgres(IN_CONNECTOR)}
    pk = ask("post", "connectors", saved, **{"Idempotency-Key": "once"}).json()["id"]
    ask("post", "connectors", saved, **{"Idempotency-Key": "once"})
    ask("patch", f"connectors/{pk}", {"config": {"password": IN_CONNECTOR_LATER}})
    ask("patch", f"connectors/{pk}", {"config": {"host": "elsewhere.example.com"}})
    ask("patch", f"connectors/{pk}", {"config": {"database": {IN_WRONG_PLACE: IN_WRONG_PLACE}}})
    ask("post", f"connectors/{pk}/check", {})
    ask("get", f"connectors/{pk}/streams")
    ask("post", "connectors/check", {**saved, "config": postgres(IN_WRONG_PLACE)})
    ask("get", "connectors")
    inline = config({"stream": "public.orders"}, kind="postgres", config=postgres(IN_PIPELINE))
    made = {"name": "Orders", "config": inline, "schedule": "0 0 * * *"}
    pipeline = ask("post", "pipelines", made, **{"Idempotency-Key": "made"}).json()["id"]
    ask("post", "pipelines/validate", {**made, "name": "x"})
    ask("post", "pipelines/preview", {"config": inline})
    ask("patch", f"pipelines/{pipeline}", {"config": {"source": {"config": {"database": "s"}}}})
    ask("post", f"pipelines/{pipeline}/preview", {})
    ask("post", f"pipelines/{pipeline}/duplicate", {})
    ask("get", f"pipelines/{pipeline}")
    ask("get", f"pipelines/{pipeline}/versions/1")
    ask("get", f"pipelines/{pipeline}/versions/2/diff")
    ask("post", f"pipelines/{pipeline}/versions/1/restore", {})
    ask("get", "org/audit")

    assert sum(answer.status_code < 300 for answer in answers) >= 15
    for answer in answers:
        named = answer.content.decode().replace(f"config.database.{IN_WRONG_PLACE}", "")
        assert not [canary for canary in CANARIES if canary in named], answer.request
    text = dump()
    assert "Orders" in text
    assert not [canary for canary in CANARIES if canary in text]


def dump() -> str:
    """Return every value of every row of the suite's database as text; binary columns decoded."""
    url = suite.url_of(suite.worker_database())
    texts: list[str] = []
    with psycopg.connect(url, autocommit=True) as admin:
        tables = admin.execute(
            """SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
               WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
        ).fetchall()
        for (table,) in tables:
            for row in admin.execute(f"SELECT * FROM {table}".encode()):
                texts += [v.decode("latin-1") if isinstance(v, bytes) else str(v) for v in row]
    return "\n".join(texts)
