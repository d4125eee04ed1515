"""Previews with the real engine return a few records and write nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from apps.connectors import engine
from apps.orgs.roles import Role
from tests.pipelines.test_pipelines import (
    PASSWORD,
    URL,
    config,
    config_with_secret,
    create_pipeline,
    error_codes,
)
from tests.world import World, make_connector


@pytest.fixture(scope="module", autouse=True)
def _close_supervisor_afterwards() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def stored_files(world: World) -> list[Path]:
    """Return the stored files of this org. Other tests may store files at the same time."""
    root = Path(settings.STORAGE_OPTIONS["local"]["location"], "org", str(world.org.pk))
    return [path for path in root.rglob("*") if path.is_file()] if root.exists() else []


def test_a_preview_returns_at_most_the_requested_records_and_writes_nothing(world: World) -> None:
    config_with_500_rows = {
        "source": {"kind": "dummy", "config": {"rows": 500}},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "jsonl", "config": {}},
    }
    pipeline = create_pipeline(world, config=config_with_500_rows)
    answer = world.client().post(f"{URL}/{pipeline['id']}/preview", {"max_records": 7}).json()
    assert answer["ok"] is True, answer
    assert [record["id"] for record in answer["records"]] == [1, 2, 3, 4, 5, 6, 7]
    assert answer["rejected"] == 0
    assert {"name": "id", "type": "integer", "nullable": True} in answer["columns"]
    assert stored_files(world) == []


def test_a_preview_needs_no_destination(world: World) -> None:
    connector = make_connector(world)
    preview_config = {
        "source": {"connector_id": str(connector.pk)},
        "streams": [{"stream": "creatures"}],
    }
    answer = world.client().post(f"{URL}/preview", {"config": preview_config})
    assert answer.status_code == 200, answer.content
    assert answer.json()["ok"] is True
    assert 1 <= len(answer.json()["records"]) <= 10


def test_a_preview_of_a_failing_source_returns_200_with_the_failure(world: World) -> None:
    preview_config = config_with_secret(host="127.0.0.1", port=1, connect_timeout=1)
    answer = world.client().post(f"{URL}/preview", {"config": preview_config})
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["failure"]["message"]
    assert PASSWORD not in answer.content.decode()


def test_a_preview_of_too_many_records_or_of_an_invalid_config_is_rejected(world: World) -> None:
    client = world.client()
    pipeline = create_pipeline(world)
    answer = client.post(f"{URL}/{pipeline['id']}/preview", {"max_records": 101})
    assert error_codes(answer) == {"max_records": "max_value"}
    answer = client.post(f"{URL}/preview", {"config": config({"stream": "nothing"})})
    assert error_codes(answer) == {"streams.0.stream": "unknown"}
    answer = client.post(f"{URL}/preview", {"config": {}})
    assert error_codes(answer) == {"source": "required", "streams": "required"}


def test_a_preview_cannot_use_a_connector_of_another_org(world: World, stranger: World) -> None:
    foreign_connector = make_connector(stranger)
    preview_config = {
        "source": {"connector_id": str(foreign_connector.pk)},
        "streams": [{"stream": "generated"}],
    }
    answer = world.client(Role.OWNER).post(f"{URL}/preview", {"config": preview_config})
    assert error_codes(answer) == {"source.connector_id": "unknown"}
