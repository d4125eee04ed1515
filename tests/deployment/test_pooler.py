"""Behind a pooler, the web process listens for live events at the address of the server itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.conf import settings
from procrastinate.contrib.django.utils import connector_params

from apps.live import hub
from apps.live.checks import check_events, warn_if_events_do_not_arrive
from tests import database


def test_events_are_read_from_the_server_itself(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = connector_params("default")
    pooler: dict[str, Any] = {**parameters, "port": 1}
    monkeypatch.setattr(hub, "connector_params", lambda _alias: pooler)
    url = database.url_of(database.process_database_name())
    monkeypatch.setattr(settings, "EVENTS_DATABASE_URL", url)

    async def read_role_and_database() -> tuple[str, str]:
        async with await hub.connect() as connection:
            return connection.info.user, connection.info.dbname

    found = asyncio.run(read_role_and_database())

    assert found == (parameters["user"], parameters["dbname"])


def test_the_doctor_notices_that_live_events_do_not_arrive(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notices of one database do not arrive in another one, as they do not arrive through a pooler."""
    assert check_events().ok
    monkeypatch.setattr("apps.live.checks.MAX_WAIT", 0.5)
    monkeypatch.setattr(settings, "EVENTS_DATABASE_URL", database.url_of("postgres"))
    finding = check_events()
    assert not finding.ok
    assert "DROVER_EVENTS_DATABASE_URL" in finding.next_step
    monkeypatch.setattr(settings, "EVENTS_DATABASE_URL", "postgresql://127.0.0.1:1/postgres")
    assert not check_events().ok


def test_a_web_process_behind_a_pooler_warns_that_events_do_not_arrive(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The doctor connects to the server itself, so only the web process can notice that its own address is a pooler."""
    warn_if_events_do_not_arrive()
    assert "live events do not arrive" not in caplog.text
    monkeypatch.setattr("apps.live.checks.MAX_WAIT", 0.5)
    monkeypatch.setattr(settings, "EVENTS_DATABASE_URL", database.url_of("postgres"))
    warn_if_events_do_not_arrive()
    assert "live events do not arrive" in caplog.text
    assert "DROVER_EVENTS_DATABASE_URL" in caplog.text
