"""A pipeline with patterns reads uploaded files, each as a stream of its own, as they are when a run begins."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import default_storage

from apps.connectors.storage import files_root
from apps.runs.execute import Worker
from apps.runs.outputs import storage
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.processes import start_run
from tests.world import World, make_connector, make_pipeline


def write(world: World, name: str, content: str) -> None:
    storage.write(f"{files_root(world.org.pk).prefix}/{name}", content.encode())


def streams_of(world: World, run_id: UUID) -> dict[str, tuple[str, int]]:
    answer: Any = world.client().get(f"/api/v1/runs/{run_id}/streams").json()
    return {row["stream"]: (row["status"], row["written"]) for row in answer["results"]}


@pytest.mark.long
def test_new_files_are_streams_of_the_next_run_and_files_that_are_gone_fail(
    acme: World, this_worker: Worker
) -> None:
    write(acme, "orders-2026-01.csv", "id\n1\n2\n")
    write(acme, "people.csv", "name\nAda\n")
    source = make_connector(acme, kind="files", config={"path": "*.csv", "one_stream_per": "name"})
    pipeline = make_pipeline(
        acme,
        config={
            "source": {"connector_id": str(source.pk)},
            "patterns": {"match": ["*", "!tmp*"]},
            "destination": {"kind": "parquet", "config": {}},
        },
    )

    def run() -> dict[str, tuple[str, int]]:
        run_id = start_run(acme, pipeline)
        work_until_idle(this_worker)
        return streams_of(acme, run_id)

    assert run() == {"orders": ("succeeded", 2), "people": ("succeeded", 1)}
    write(acme, "orders-2026-02.csv", "id\n3\n")
    write(acme, "places.csv", "code\nEWR\n")
    write(acme, "tmp.csv", "n\n1\n")
    default_storage.delete(f"{files_root(acme.org.pk).prefix}/people.csv")
    after = run()
    assert after == {
        "orders": ("succeeded", 3),
        "places": ("succeeded", 1),
        "people": ("failed", 0),
    }
