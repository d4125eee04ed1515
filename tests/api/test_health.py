"""Liveness, readiness, and metrics."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.background import health
from apps.orgs.roles import Role
from apps.web import health_views
from tests.orgs.test_commands import record_worker_heartbeat
from tests.world import World, new_client, token_for


@pytest.fixture(autouse=True)
def forget_earlier_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_storage_checked_until", 0.0)
    monkeypatch.setattr(health_views, "_last_logged", {})


def test_liveness_responds_without_the_database() -> None:
    assert new_client().get("/api/v1/health/live").json() == {"status": "alive"}


OPERATOR_HEADERS = {"HTTP_AUTHORIZATION": "Bearer secret"}


def get_readiness(**headers: Any) -> tuple[int, dict[str, Any]]:
    answer = new_client().get("/api/v1/health/ready", **headers)
    return answer.status_code, answer.json()


def test_a_node_is_ready_when_every_part_works(db: None, settings: Any) -> None:
    record_worker_heartbeat()
    settings.METRICS_TOKEN = "secret"
    status, body = get_readiness(**OPERATOR_HEADERS)
    assert status == 200, body
    assert {part["part"] for part in body["parts"]} == {
        "database",
        "migrations",
        "queue",
        "workers",
        "scheduler",
        "storage",
        "isolation",
    }
    assert get_readiness() == (200, {"ready": True})


def test_a_node_without_a_worker_is_not_ready_and_names_the_missing_parts_to_operators(
    db: None, settings: Any
) -> None:
    settings.METRICS_TOKEN = "secret"
    status, body = get_readiness(**OPERATOR_HEADERS)
    assert status == 503
    assert {part["part"] for part in body["parts"] if not part["ok"]} == {"workers", "scheduler"}


@pytest.mark.parametrize("credential", ["", "Bearer ", "Bearer guess", "Basic secret", "member"])
def test_callers_without_the_operators_token_get_only_ready_or_not(
    world: World, settings: Any, credential: str
) -> None:
    settings.METRICS_TOKEN = "secret"
    if credential == "member":
        credential = f"Bearer {token_for(world.users[Role.OWNER], world.org)}"
    assert get_readiness(HTTP_AUTHORIZATION=credential) == (503, {"ready": False})
    settings.METRICS_TOKEN = ""
    assert get_readiness(HTTP_AUTHORIZATION=credential) == (503, {"ready": False})


def test_a_broken_storage_is_explained_to_operators_and_in_the_log(
    db: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folder = "/dev/null/inner-folder"
    storage = {**settings.STORAGES["default"], "OPTIONS": {"location": folder}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    settings.METRICS_TOKEN = "secret"
    assert get_readiness() == (503, {"ready": False})
    assert folder in caplog.text
    (storage_part,) = [
        part for part in get_readiness(**OPERATOR_HEADERS)[1]["parts"] if part["part"] == "storage"
    ]
    assert folder in storage_part["seen"]


def test_repeated_requests_do_not_fill_the_log(
    db: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logged_parts() -> list[str]:
        messages = [record.msg for record in caplog.records]
        return sorted(msg["part"] if isinstance(msg, dict) else str(msg) for msg in messages)

    for _ in range(5):
        assert get_readiness() == (503, {"ready": False})
    assert logged_parts() == ["scheduler", "workers"]
    monkeypatch.setattr(health_views, "LOG_INTERVAL", 0.0)
    get_readiness()
    assert logged_parts() == ["scheduler", "scheduler", "workers", "workers"]


def test_a_node_whose_worker_sends_no_heartbeat_is_not_ready(db: None) -> None:
    record_worker_heartbeat()
    assert get_readiness()[0] == 200
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '2 min'")
    assert get_readiness()[0] == 503
    (finding,) = [found for found in health.check_queue() if found.part == "workers"]
    assert finding.seen == "last heartbeat 120 s ago"


def test_a_lost_database_is_not_revealed_to_anonymous_clients(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[health.Finding]:
        raise OperationalError("server at 10.1.2.3 closed the connection")

    monkeypatch.setattr(health, "check_readiness", fail)
    assert get_readiness() == (503, {"ready": False})


@pytest.mark.parametrize(
    "path", ["/health/ready", "/health/live", "/health", "/health/ready/", "/metrics", "/metrics/"]
)
def test_a_probe_at_a_wrong_path_gets_404_with_the_right_path(path: str) -> None:
    answer = new_client().get(path)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert "/api/v1/health/ready" in answer.json()["detail"]
    assert "/api/v1/metrics" in answer.json()["detail"]


def test_the_metrics_need_the_operators_token(db: None, settings: Any) -> None:
    client = new_client()
    assert client.get("/api/v1/metrics").status_code == 401
    assert client.get("/api/v1/metrics", HTTP_AUTHORIZATION="Bearer ").status_code == 401
    settings.METRICS_TOKEN = "secret"
    assert client.get("/api/v1/metrics", HTTP_AUTHORIZATION="Bearer guess").status_code == 401


def test_the_metrics_count_over_all_organizations(committed_db: None, settings: Any) -> None:
    from tests.isolation.planted import plant

    plant()
    plant()
    record_worker_heartbeat()
    settings.METRICS_TOKEN = "secret"
    answer = new_client().get("/api/v1/metrics", HTTP_AUTHORIZATION="Bearer secret")
    lines = answer.content.decode().splitlines()
    assert {"drover_organizations 2", 'drover_runs{status="pending"} 2'} <= set(lines)
    (age,) = [line for line in lines if line.startswith("drover_worker_heartbeat_age_seconds ")]
    assert 0 <= float(age.split()[1]) < health.MAX_HEARTBEAT_AGE
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ")) or len(line.rsplit(" ", 1)) == 2
