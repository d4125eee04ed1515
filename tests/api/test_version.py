"""The version in pyproject.toml is shown to members and operators, in each log line, and to the database server."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import connection

from apps.orgs.roles import Role
from tests.world import World, client_for, new_client

ROOT = Path(__file__).resolve().parents[2]


def test_the_front_end_has_the_same_version() -> None:
    package = json.loads((ROOT / "frontend/package.json").read_text())
    locked = json.loads((ROOT / "frontend/package-lock.json").read_text())
    assert package["version"] == settings.VERSION
    assert locked["version"] == locked["packages"][""]["version"] == settings.VERSION


def test_members_see_the_version(world: World) -> None:
    profile = client_for(world.users[Role.VIEWER], world.org).get("/api/v1/auth/me").json()
    assert profile["version"] == settings.VERSION


def test_only_operators_see_the_version_in_the_health(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "METRICS_TOKEN", "secret")
    path = "/api/v1/health/ready"
    for_operators = new_client().get(path, HTTP_AUTHORIZATION="Bearer secret").json()
    assert for_operators["version"] == settings.VERSION
    assert "version" not in new_client().get(path).json()


@pytest.mark.parametrize("logger", [logging.getLogger("other"), structlog.get_logger("ours")])
def test_each_log_line_has_the_version(logger: Any) -> None:
    lines: list[str] = []
    (formatter,) = {
        handler.formatter
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter)
    }

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    collector = Collector()
    collector.setFormatter(formatter)
    logging.getLogger().addHandler(collector)
    try:
        logger.warning("something happened")
    finally:
        logging.getLogger().removeHandler(collector)
    assert [json.loads(line)["version"] for line in lines] == [settings.VERSION]


def test_the_database_server_knows_the_version_of_each_process(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW application_name")
        ((name,),) = cursor.fetchall()
    assert name.endswith(f" {settings.VERSION}")
