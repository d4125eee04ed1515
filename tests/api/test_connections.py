"""Drover compares the database connections that its processes may need with the server's limit."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
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
    assert connections.check_connections().ok
    settings.WORKER_POOL = 1000

    finding = connections.check_connections()
    connections.warn_if_too_few()

    assert not finding.ok
    assert "Set max_connections" in finding.next_step
    assert "DROVER_DB_POOL" in finding.next_step
    assert "too few connections" in caplog.text


def test_connections_of_other_roles_are_not_free(db: None) -> None:
    url = database.url_of(database.process_database_name())
    with ExitStack() as opened:
        for _ in range(5):
            opened.enter_context(psycopg.connect(url, application_name="another program"))
        assert connections.read_server_connections().used_by_others >= 5


def test_needed_connections_grow_with_runs_up_to_the_limit_of_the_platform(settings: Any) -> None:
    settings.WORKER_CONCURRENCY, settings.MAX_RUNNING_PLATFORM = 10, 15
    one_worker = connections.ServerConnections(
        max_connections=100, reserved=3, used_by_others=0, web_processes=1, worker_processes=1
    )
    three_workers = connections.ServerConnections(
        max_connections=100, reserved=3, used_by_others=0, web_processes=1, worker_processes=3
    )

    assert three_workers.needed - one_worker.needed == 2 * connections.connections_per_worker() + 5


@pytest.fixture
def single_session_url(django_db_setup: None) -> Any:
    """Create a role that allows one session at a time, and yield its database URL."""
    admin_url = database.url_of(database.process_database_name())
    name = f"single_session_{database.process_database_name()}"  # roles belong to the whole server
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret' CONNECTION LIMIT 1")
        admin.execute(f"GRANT CONNECT ON DATABASE {database.process_database_name()} TO {name}")
        address = urlsplit(admin_url).netloc.rpartition("@")[2]
        yield urlsplit(admin_url)._replace(netloc=f"{name}:secret@{address}").geturl()
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [name]
        )
        admin.execute(f"DROP OWNED BY {name}")
        admin.execute(f"DROP ROLE {name}")


def test_a_run_waits_until_the_server_has_a_free_connection(
    single_session_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    retried = threading.Event()
    sleep = time.sleep

    def sleep_briefly(seconds: float) -> None:
        retried.set()
        sleep(0.05)

    monkeypatch.setattr(time, "sleep", sleep_briefly)
    with psycopg.connect(single_session_url):
        backends: list[checkpoints.StateBackend] = []
        thread = threading.Thread(
            target=lambda: backends.append(checkpoints.StateBackend(single_session_url))
        )
        thread.start()
        assert retried.wait(30)
        assert not backends
    thread.join(30)
    (backend,) = backends
    backend.close()
