"""Behind a pooler, the web process listens for live events at the address of the server itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.conf import settings
from procrastinate.contrib.django.utils import connector_params

from apps.live import hub
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
