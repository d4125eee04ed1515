"""Pipelines: make, list, change, copy, delete; who may."""

from __future__ import annotations

from typing import Any

import pytest

from apps.orgs.roles import Role
from tests.world import World

URL = "/api/v1/pipelines"
PASSWORD = "canary-of-an-inline-password-3k9z"


def config(**source: Any) -> dict[str, Any]:
    return {
        "source": {"kind": "dummy", "config": {"rows": 10}, "stream": "generated", **source},
        "destination": {"kind": "logger", "config": {}},
    }


def create(world: World, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, {"name": "Flights", "config": config(), **changes})
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_a_pipeline_is_made_and_read_back(world: World) -> None:
    made = create(world, schedule="0 */6 * * *", tags=[" Daily ", "daily", "b"])
    assert made["tags"] == ["daily", "b"]
    assert made["schedule"]["cron"] == "0 */6 * * *"
    assert made["next_run_at"] is not None
    read = world.client(Role.VIEWER).get(f"{URL}/{made['id']}")
    assert read.json() == made
    (row,) = world.client(Role.VIEWER).get(URL).json()["results"]
    made["schedule"].pop("paused_by")
    assert row == {name: made[name] for name in row}
    assert "config" not in row
