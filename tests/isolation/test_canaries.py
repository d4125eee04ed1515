"""A secret that was given to Drover appears nowhere again: no answer, no table, no log line, no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings

from tests import database
from tests.world import new_client

SECRET = f"canary-{uuid4().hex}"
SHOWN = f"shown-{uuid4().hex}"  # what is no secret is found: the search works
PASSWORD = f"Password {SECRET}"
CONFIG = {
    "host": "127.0.0.1",
    "port": 1,
    "database": "shop",
    "user": "reader",
    "password": SECRET,
}


@pytest.fixture
def answers(committed_db: None, caplog: pytest.LogCaptureFixture) -> list[Any]:
    """What a team's first hour answers: account, connector, pipeline, checks that fail, changes, a key."""
    client = new_client()
    found: list[Any] = []

    def call(method: str, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
        key = {"HTTP_IDEMPOTENCY_KEY": uuid4().hex} if method == "post" else {}
        more: dict[str, Any] = key
        answer = getattr(client, method)(f"/api/v1/{path}", body, **more)
        assert answer.status_code == status, answer.content
        found.append(answer)
        shown: dict[str, Any] = answer.json() if answer.content else {}
        return shown

    account = {"email": "ada@example.com", "password": PASSWORD, "organization_name": "Shop"}
    access = call("post", "auth/register", account, 201)["access"]
    call("post", "auth/login", {"email": "ada@example.com", "password": PASSWORD}, 200)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    saved = {"name": "Shop", "role": "source", "kind": "postgres", "config": CONFIG}
    connector = call("post", "connectors", saved, 201)["id"]
    call("post", f"connectors/{connector}/check", {}, 200)
    unsaved = {"role": "source", "kind": "postgres", "config": CONFIG}
    call("post", "connectors/check", unsaved, 200)
    call("patch", f"connectors/{connector}", {"config": {"password": SECRET + "2"}}, 200)
    call("post", "connectors", {**saved, "config": {**CONFIG, "port": SECRET}}, 422)
    call("post", "connectors", {**saved, "config": {**CONFIG, SECRET: 1}}, 422)
    config = {
        "source": {"kind": "postgres", "config": CONFIG, "stream": "public.orders"},
        "destination": {"kind": "logger", "config": {}},
    }
    pipeline = call("post", "pipelines", {"name": "Orders", "config": config}, 201)["id"]
    call("post", "pipelines/validate", {"name": "x", "config": config}, 200)
    call("post", f"pipelines/{pipeline}/preview", {"max_records": 1}, 200)
    call("post", f"pipelines/{pipeline}/duplicate", {}, 201)
    changed = {"source": {"config": {"password": SECRET + "3"}}}
    call("patch", f"pipelines/{pipeline}", {"config": changed}, 200)
    call("post", f"pipelines/{pipeline}/run", {}, 201)
    for path in ("connectors", f"connectors/{connector}", "pipelines", f"pipelines/{pipeline}"):
        call("get", path, {}, 200)
    call("get", f"pipelines/{pipeline}/versions/1", {}, 200)
    call("get", f"pipelines/{pipeline}/versions/2/diff", {}, 200)
    call("get", "org/audit", {}, 200)
    call("post", "org/domains", {"name": SHOWN}, 201)
    return found


def test_a_secret_appears_nowhere_again(
    answers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    for answer in answers:
        if answer.status_code == 422:
            continue  # names the field it was sent in, see below
        assert SECRET.encode() not in answer.content, answer.request["PATH_INFO"]
    assert SECRET not in caplog.text
    tables = dumped()
    assert {name for name, text in tables.items() if SHOWN in text} == {
        "orgs_domain",
        "orgs_auditevent",
    }
    assert tables["procrastinate_jobs"]
    assert [name for name, text in tables.items() if SECRET in text] == []
    files = [path for path in Path(settings.DROVER_HOME, "storage").rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def dumped() -> dict[str, str]:
    """Every table of every schema of ours as text, read as the administrator."""
    with psycopg.connect(database.url_of(database.worker_database())) as admin:
        names = admin.execute(
            """SELECT schemaname, tablename FROM pg_tables
               WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
        ).fetchall()
        return {
            table: "\n".join(
                str(row[0]) for row in admin.execute(f'SELECT t::text FROM "{schema}"."{table}" t')
            )
            for schema, table in names
        }


def test_a_wrong_value_in_a_secrets_place_is_not_shown_back(answers: list[Any]) -> None:
    refused = [answer for answer in answers if answer.status_code == 422]
    assert refused
    for answer in refused:
        messages = " ".join(error["message"] for error in answer.json()["errors"])
        assert SECRET not in messages
