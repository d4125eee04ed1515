"""Previews with the real engine: a few records, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from apps.connectors import engine
from apps.orgs.roles import Role
from tests.pipelines.test_pipelines import PASSWORD, URL, config, create, database, fields
from tests.world import World, make_connector


@pytest.fixture(scope="module", autouse=True)
def _supervisor() -> Iterator[None]:
    yield
    engine.supervisor().close()
    engine.supervisor.cache_clear()


def stored_files(world: World) -> list[Path]:
    """Of this org, because other tests run at the same time."""
    root = Path(settings.STORAGE_OPTIONS["local"]["location"], "org", str(world.org.pk))
    return [path for path in root.rglob("*") if path.is_file()] if root.exists() else []


def test_a_preview_shows_at_most_what_was_asked_and_writes_nothing(world: World) -> None:
    sent = {
        "source": {"kind": "dummy", "config": {"rows": 500}},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "jsonl", "config": {}},
    }
    made = create(world, config=sent)
    answer = world.client().post(f"{URL}/{made['id']}/preview", {"max_records": 7}).json()
    assert answer["ok"] is True, answer
    assert [record["id"] for record in answer["records"]] == [1, 2, 3, 4, 5, 6, 7]
    assert answer["rejected"] == 0
    assert {"name": "id", "type": "integer", "nullable": True} in answer["columns"]
    assert stored_files(world) == []


def test_a_preview_needs_no_destination(world: World) -> None:
    saved = make_connector(world)
    sent = {"source": {"connector_id": str(saved.pk)}, "streams": [{"stream": "creatures"}]}
    answer = world.client().post(f"{URL}/preview", {"config": sent})
    assert answer.status_code == 200, answer.content
    assert answer.json()["ok"] is True
    assert 1 <= len(answer.json()["records"]) <= 10


def test_a_failing_source_is_part_of_the_result_and_not_raised(world: World) -> None:
    sent = database(host="127.0.0.1", port=1, connect_timeout=1)
    answer = world.client().post(f"{URL}/preview", {"config": sent})
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["failure"]["message"]
    assert PASSWORD not in answer.content.decode()


def test_more_than_a_hundred_records_or_a_wrong_source_is_refused(world: World) -> None:
    client = world.client()
    made = create(world)
    answer = client.post(f"{URL}/{made['id']}/preview", {"max_records": 101})
    assert fields(answer) == {"max_records": "max_value"}
    answer = client.post(f"{URL}/preview", {"config": config({"stream": "nothing"})})
    assert fields(answer) == {"streams.0.stream": "unknown"}
    answer = client.post(f"{URL}/preview", {"config": {}})
    assert fields(answer) == {"source": "required", "streams": "required"}


def test_a_preview_uses_no_connector_of_another_org(world: World, stranger: World) -> None:
    foreign = make_connector(stranger)
    sent = {"source": {"connector_id": str(foreign.pk)}, "streams": [{"stream": "generated"}]}
    answer = world.client(Role.OWNER).post(f"{URL}/preview", {"config": sent})
    assert fields(answer) == {"source.connector_id": "unknown"}
