"""Compare the connections that the processes may need with the server's limit."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from apps.background import connections
from apps.engine.sync import checkpoints
from tests import database


def test_too_few_connections_are_reported_with_the_setting_to_change(
    db: None, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert connections.finding().ok
    settings.WORKER_POOL = 1000

    found = connections.finding()
    connections.warn()

    assert not found.ok
    assert "Set max_connections" in found.next_step
    assert "DROVER_DB_POOL" in found.next_step
    assert "too few connections" in caplog.text


def test_runs_count_up_to_the_limit_of_the_platform(settings: Any) -> None:
    settings.WORKER_CONCURRENCY, settings.MAX_RUNNING_PLATFORM = 10, 15
    one = connections.Server(max_connections=100, reserved=3, others=0, webs=1, workers=1)
    three = connections.Server(max_connections=100, reserved=3, others=0, webs=1, workers=3)

    assert three.needed - one.needed == 2 * connections.per_worker() + 5


@pytest.fixture
def crowded(django_db_setup: None) -> Any:
    """A URL for a role that allows one session at a time."""
    admin_url = database.url_of(database.worker_database())
    name = f"crowded_{database.worker_database()}"  # roles belong to the whole server
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'crowded' CONNECTION LIMIT 1")
        admin.execute(f"GRANT CONNECT ON DATABASE {database.worker_database()} TO {name}")
        place = urlsplit(admin_url).netloc.rpartition("@")[2]
        yield urlsplit(admin_url)._replace(netloc=f"{name}:crowded@{place}").geturl()
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name]
        )
        admin.execute(f"DROP OWNED BY {name}")
        admin.execute(f"DROP ROLE {name}")


def test_a_run_waits_for_a_place_at_the_server(
    crowded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()
    sleep = time.sleep

    def wait(seconds: float) -> None:
        refused.set()
        sleep(0.05)

    monkeypatch.setattr(time, "sleep", wait)
    with psycopg.connect(crowded):
        made: list[checkpoints.StateBackend] = []
        thread = threading.Thread(target=lambda: made.append(checkpoints.StateBackend(crowded)))
        thread.start()
        assert refused.wait(30)
        assert not made
    thread.join(30)
    (backend,) = made
    backend.close()
