"""Fixtures for tests of runs: pipelines, a worker, and a database server that can be killed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from apps.engine import EngineSupervisor
from apps.pipelines.models import Pipeline, PipelineStream, PipelineVersion
from apps.runs.execute import Worker
from tests.runs.own_server import OwnServer, own_server
from tests.world import World, make_world


def make_pipeline(
    world: World,
    *,
    source: dict[str, Any] | None = None,
    destination: dict[str, Any] | None = None,
    table: str = "rows",
    write_mode: str = "replace",
    sync_mode: str = "full_refresh",
    source_kind: str = "dummy",
    stream: str = "generated",
    streams: Mapping[str, str] | None = None,
    **fields: Any,
) -> Pipeline:
    """Create a pipeline, by default from a few dummy rows to Parquet. `streams` has the table of each of its streams."""
    tables = streams or {stream: table}
    with world.scope():
        pipeline: Pipeline = Pipeline.unscoped.create(
            org=world.org,
            name=fields.pop("name", f"pipeline {uuid4().hex[:8]}"),
            source_kind=source_kind,
            destination_kind=(destination or {}).get("kind", "parquet"),
            stream=next(iter(tables)),
            stream_count=len(tables),
            **fields,
        )
        PipelineStream.objects.for_org(world.org).bulk_create(
            PipelineStream(org=world.org, pipeline=pipeline, position=position, name=name)
            for position, name in enumerate(tables)
        )
        PipelineVersion.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            number=pipeline.version,
            definition={
                "source": {
                    "connector_id": None,
                    "kind": source_kind,
                    "config": {"rows": 100} if source is None else source,
                },
                "streams": [
                    {
                        "stream": name,
                        "table": its_table,
                        "sync_mode": sync_mode,
                        "cursor_field": None,
                        "primary_key": ["id"],
                        "write_mode": write_mode,
                        "transforms": [],
                    }
                    for name, its_table in tables.items()
                ],
                "destination": {
                    "connector_id": None,
                    "kind": "parquet",
                    "config": {},
                    **(destination or {}),
                },
            },
        )
    return pipeline


@pytest.fixture
def pipeline(world: World) -> Pipeline:
    return make_pipeline(world, name="flights")


@pytest.fixture(scope="session")
def engine() -> Iterator[EngineSupervisor]:
    """A started fork server, shared by all tests that run child processes."""
    supervisor = EngineSupervisor()
    supervisor.start(wait=60)
    yield supervisor
    supervisor.close()


@pytest.fixture(autouse=True)
def fixed_runs_per_org(settings: Settings) -> None:
    """Make the number of runs of an org per worker independent of the machine that runs the tests."""
    settings.WORKER_ORG_RUNS = 100


@pytest.fixture
def this_worker(engine: EngineSupervisor) -> Worker:
    """A worker without a queue. The test decides when it works."""
    return Worker("tests", engine, threading.Event())


@pytest.fixture
def own_postgres(
    monkeypatch: pytest.MonkeyPatch,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[OwnServer]:
    """A PostgreSQL server that the test can kill. This process and its children use it during the test."""
    with (
        TemporaryDirectory(prefix="drover-own-") as folder,
        django_db_blocker.unblock(),
        own_server(Path(folder), monkeypatch) as server,
    ):
        yield server


@pytest.fixture
def acme(committed_db: None) -> World:
    """An org with committed rows, so that other processes can read them."""
    return make_world()
