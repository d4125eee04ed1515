"""Alive, ready, and the gauges."""

from __future__ import annotations

from typing import Any

import pytest

from config import health
from tests.orgs.test_commands import worker_lives
from tests.world import new_client


@pytest.fixture(autouse=True)
def nothing_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_storage_trusted_until", 0.0)


def test_a_process_says_that_it_lives_without_asking_the_database() -> None:
    assert new_client().get("/api/v1/health/live").json() == {"status": "alive"}


def test_a_node_is_ready_when_every_part_is_there(db: None) -> None:
    worker_lives()
    answer = new_client().get("/api/v1/health/ready")
    assert answer.status_code == 200, answer.content
    assert {part["part"] for part in answer.json()["parts"]} == {
        "database",
        "migrations",
        "queue",
        "workers",
        "scheduler",
        "storage",
        "isolation",
    }


def test_a_node_without_a_scheduler_is_not_ready_and_names_it(db: None) -> None:
    answer = new_client().get("/api/v1/health/ready")
    assert answer.status_code == 503
    failing = {part["part"] for part in answer.json()["parts"] if not part["ok"]}
    assert failing == {"workers", "scheduler"}


def test_a_part_that_fails_is_named_to_anyone_but_explained_in_the_log_only(
    db: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place = "/dev/null/inner-place"
    storage = {**settings.STORAGES["default"], "OPTIONS": {"location": place}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    answer = new_client().get("/api/v1/health/ready")
    (found,) = [part for part in answer.json()["parts"] if part["part"] == "storage"]
    assert found["ok"] is False
    assert place not in answer.content.decode()
    assert place in caplog.text


def test_the_gauges_need_the_operators_token(db: None, settings: Any) -> None:
    client = new_client()
    assert client.get("/api/v1/metrics").status_code == 401
    assert client.get("/api/v1/metrics", HTTP_AUTHORIZATION="Bearer ").status_code == 401
    settings.METRICS_TOKEN = "secret"
    assert client.get("/api/v1/metrics", HTTP_AUTHORIZATION="Bearer guess").status_code == 401


def test_the_gauges_count_over_all_organizations(committed_db: None, settings: Any) -> None:
    from tests.isolation.planted import plant

    plant()
    plant()
    worker_lives()
    settings.METRICS_TOKEN = "secret"
    answer = new_client().get("/api/v1/metrics", HTTP_AUTHORIZATION="Bearer secret")
    lines = answer.content.decode().splitlines()
    assert {"drover_organizations 2", 'drover_runs{status="pending"} 2', "drover_workers 1"} <= set(
        lines
    )
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ")) or len(line.rsplit(" ", 1)) == 2
