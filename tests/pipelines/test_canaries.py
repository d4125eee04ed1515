"""No response, audit event or text in the database contains a secret of a connector or pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from apps.connectors import engine
from apps.orgs.roles import Role
from tests import database as test_database
from tests.pipelines.test_pipelines import config
from tests.world import make_world

CONNECTOR_PASSWORD = "canaryconnector4c81fe02"
REPLACED_PASSWORD = "canaryreplaced97d01b6a"
PIPELINE_PASSWORD = "canarypipeline5be2a7c3"
MISPLACED_SECRET = "canarymisplaced6fd3b8e4"
CANARIES = [CONNECTOR_PASSWORD, REPLACED_PASSWORD, PIPELINE_PASSWORD, MISPLACED_SECRET]


@pytest.fixture(autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def postgres_settings(password: str) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": 1,
        "database": "shop",
        "user": "reader",
        "password": password,
        "connect_timeout": 1,
    }


def test_no_response_and_no_text_in_the_database_contains_a_secret(committed_db: None) -> None:
    world = make_world()
    client = world.client(Role.OWNER)
    answers: list[Any] = []

    def send_request(method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = getattr(client, method)(f"/api/v1/{path}", body, headers=headers)
        answers.append(answer)
        return answer

    connector = {
        "name": "Shop",
        "role": "source",
        "kind": "postgres",
        "config": postgres_settings(CONNECTOR_PASSWORD),
    }
    connector_id = send_request(
        "post", "connectors", connector, **{"Idempotency-Key": "once"}
    ).json()["id"]
    send_request("post", "connectors", connector, **{"Idempotency-Key": "once"})
    send_request("patch", f"connectors/{connector_id}", {"config": {"password": REPLACED_PASSWORD}})
    send_request(
        "patch", f"connectors/{connector_id}", {"config": {"host": "elsewhere.example.com"}}
    )
    send_request(
        "patch",
        f"connectors/{connector_id}",
        {"config": {"database": {MISPLACED_SECRET: MISPLACED_SECRET}}},
    )
    send_request("post", f"connectors/{connector_id}/check", {})
    send_request("get", f"connectors/{connector_id}/streams")
    send_request(
        "post", "connectors/check", {**connector, "config": postgres_settings(MISPLACED_SECRET)}
    )
    send_request("get", "connectors")
    inline_config = config(
        {"stream": "public.orders"}, kind="postgres", config=postgres_settings(PIPELINE_PASSWORD)
    )
    body = {"name": "Orders", "config": inline_config, "schedule": "0 0 * * *"}
    pipeline_id = send_request("post", "pipelines", body, **{"Idempotency-Key": "orders"}).json()[
        "id"
    ]
    send_request("post", "pipelines/validate", {**body, "name": "x"})
    send_request("post", "pipelines/preview", {"config": inline_config})
    send_request(
        "patch", f"pipelines/{pipeline_id}", {"config": {"source": {"config": {"database": "s"}}}}
    )
    send_request("post", f"pipelines/{pipeline_id}/preview", {})
    send_request("post", f"pipelines/{pipeline_id}/duplicate", {})
    send_request("get", f"pipelines/{pipeline_id}")
    send_request("get", f"pipelines/{pipeline_id}/versions/1")
    send_request("get", f"pipelines/{pipeline_id}/versions/2/diff")
    send_request("post", f"pipelines/{pipeline_id}/versions/1/restore", {})
    send_request("get", "org/audit")

    assert sum(answer.status_code < 300 for answer in answers) >= 15
    for answer in answers:
        text = answer.content.decode().replace(f"config.database.{MISPLACED_SECRET}", "")
        assert not [canary for canary in CANARIES if canary in text], answer.request
    stored_text = database_text()
    assert "Orders" in stored_text
    assert not [canary for canary in CANARIES if canary in stored_text]


def database_text() -> str:
    """Return every value of every row of the test database as text. Binary columns are decoded."""
    url = test_database.url_of(test_database.process_database_name())
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
