"""Saved connectors: who may, what is stored, what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from apps.orgs.roles import Role
from tests.world import World

URL = "/api/v1/connectors"
PASSWORD = "canary-of-a-password-7q2x"


def body(**changes: Any) -> dict[str, Any]:
    config = {"host": "db.example.com", "database": "shop", "user": "reader", "password": PASSWORD}
    return {
        "name": "Shop",
        "role": "source",
        "kind": "postgres",
        "config": {**config, **changes.pop("config", {})},
        **changes,
    }


def create(world: World, **changes: Any) -> dict[str, Any]:
    answer = world.client().post(URL, body(**changes))
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_a_connector_shows_its_settings_and_only_the_hint_of_its_secret(world: World) -> None:
    made = create(world)
    assert made["config"]["password"] == {"set": True, "last4": "7q2x"}
    read = world.client(Role.VIEWER).get(f"{URL}/{made['id']}")
    assert read.status_code == 200
    assert read.json() == made
    assert PASSWORD not in read.content.decode()
    assert read.headers["ETag"] == '"1"'
