"""Liveness, readiness, and metrics."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection

from apps.background import health
from apps.orgs.roles import Role
from apps.web import health_views
from tests.orgs.test_commands import worker_lives
from tests.world import World, new_client, token_for


@pytest.fixture(autouse=True)
def nothing_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_storage_trusted_until", 0.0)
    monkeypatch.setattr(health_views, "_told", {})


def test_liveness_responds_without_the_database() -> None:
    assert new_client().get("/api/v1/health/live").json() == {"status": "alive"}


OPERATOR = {"HTTP_AUTHORIZATION": "Bearer secret"}


def ready(**headers: Any) -> tuple[int, dict[str, Any]]:
    answer = new_client().get("/api/v1/health/ready", **headers)
    return answer.status_code, answer.json()


def test_a_node_is_ready_when_every_part_is_there(db: None, settings: Any) -> None:
    worker_lives()
    settings.METRICS_TOKEN = "secret"
    status, body = ready(**OPERATOR)
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
    assert ready() == (200, {"ready": True})


def test_a_node_without_a_scheduler_is_not_ready_and_names_it_to_operators(
    db: None, settings: Any
) -> None:
    settings.METRICS_TOKEN = "secret"
    status, body = ready(**OPERATOR)
    assert status == 503
    assert {part["part"] for part in body["parts"] if not part["ok"]} == {"workers", "scheduler"}


@pytest.mark.parametrize("credential", ["", "Bearer ", "Bearer guess", "Basic secret", "member"])
def test_strangers_members_and_guesses_learn_yes_or_no(
    world: World, settings: Any, credential: str
) -> None:
    settings.METRICS_TOKEN = "secret"
    if credential == "member":
        credential = f"Bearer {token_for(world.users[Role.OWNER], world.org)}"
    assert ready(HTTP_AUTHORIZATION=credential) == (503, {"ready": False})
    settings.METRICS_TOKEN = ""
    assert ready(HTTP_AUTHORIZATION=credential) == (503, {"ready": False})


def test_what_is_away_is_explained_to_operators_and_in_the_log(
    db: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    place = "/dev/null/inner-place"
    storage = {**settings.STORAGES["default"], "OPTIONS": {"location": place}}
    settings.STORAGES = {**settings.STORAGES, "default": storage}
    settings.METRICS_TOKEN = "secret"
    assert ready() == (503, {"ready": False})
    assert place in caplog.text
    (found,) = [part for part in ready(**OPERATOR)[1]["parts"] if part["part"] == "storage"]
    assert place in found["seen"]


def test_strangers_who_ask_again_and_again_fill_no_log(
    db: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[str]:
        said = [record.msg for record in caplog.records]
        return sorted(one["part"] if isinstance(one, dict) else str(one) for one in said)

    for _ in range(5):
        assert ready() == (503, {"ready": False})
    assert told() == ["scheduler", "workers"]
    monkeypatch.setattr(health_views, "TOLD_EVERY", 0.0)
    ready()
    assert told() == ["scheduler", "scheduler", "workers", "workers"]


def test_a_worker_that_gives_no_sign_of_life_is_not_ready(db: None) -> None:
    worker_lives()
    assert ready()[0] == 200
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '2 min'")
    assert ready()[0] == 503
    (found,) = [one for one in health.queue_findings() if one.part == "workers"]
    assert found.seen == "last heartbeat 120 s ago"


def test_a_lost_database_is_not_revealed_to_anonymous_clients(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> list[health.Finding]:
        raise OperationalError("server at 10.1.2.3 closed the connection")

    monkeypatch.setattr(health, "ready", gone)
    assert ready() == (503, {"ready": False})


@pytest.mark.parametrize(
    "path", ["/health/ready", "/health/live", "/health", "/health/ready/", "/metrics", "/metrics/"]
)
def test_a_probe_at_a_wrong_path_gets_the_right_path(path: str) -> None:
    answer = new_client().get(path)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert "/api/v1/health/ready" in answer.json()["detail"]
    assert "/api/v1/metrics" in answer.json()["detail"]


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
    assert {"drover_organizations 2", 'drover_runs{status="pending"} 2'} <= set(lines)
    (age,) = [line for line in lines if line.startswith("drover_worker_heartbeat_age_seconds ")]
    assert 0 <= float(age.split()[1]) < health.WORKER_SILENT
    for line in lines:
        assert line.startswith(("# HELP ", "# TYPE ")) or len(line.rsplit(" ", 1)) == 2
