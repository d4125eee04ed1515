"""Definitions of the release before streams are migrated in every org. tests/local/upgrade runs such pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError

from apps.pipelines.models import Pipeline, PipelineVersion
from tests import database
from tests.world import World, make_world

PLAIN_OLD: dict[str, Any] = {
    "source": {
        "connector_id": None,
        "kind": "dummy",
        "config": {"rows": 100},
        "stream": "generated",
        "sync_mode": "incremental",
        "cursor_field": None,
        "primary_key": ["id"],
    },
    "destination": {
        "connector_id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10",
        "kind": "parquet",
        "config": None,
        "table": "numbers",
        "write_mode": "append",
    },
}
PLAIN_NEW: dict[str, Any] = {
    "source": {"connector_id": None, "kind": "dummy", "config": {"rows": 100}},
    "streams": [
        {
            "stream": "generated",
            "table": "numbers",
            "sync_mode": "incremental",
            "cursor_field": None,
            "primary_key": ["id"],
            "write_mode": "append",
            "transforms": [],
        }
    ],
    "destination": {
        "connector_id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10",
        "kind": "parquet",
        "config": None,
    },
}
PYTHON = {"kind": "python", "code": "def transform(record):\n    return record\n"}
FULL_OLD = {
    **PLAIN_OLD,
    "source": {**PLAIN_OLD["source"], "version": 3, "cursor_field": "id", "primary_key": []},
    "transforms": [PYTHON],
}
FULL_NEW = {
    **PLAIN_NEW,
    "source": {**PLAIN_NEW["source"], "version": 3},
    "streams": [
        {
            **PLAIN_NEW["streams"][0],
            "cursor_field": "id",
            "primary_key": [],
            "transforms": [PYTHON],
        }
    ],
}


def migrate(*, backwards: bool = False) -> None:
    """Return the statements of `manage.py migrate`, and its role."""
    sql = StringIO()
    call_command("sqlmigrate", "pipelines", "0008", backwards=backwards, stdout=sql)
    with psycopg.connect(database.url_of(database.worker_database()), autocommit=True) as owner:
        owner.execute("SET ROLE app_owner")
        owner.execute(sql.getvalue())


@pytest.fixture
def table(committed_db: None) -> Iterator[None]:
    """The table of versions, which a test may migrate back and forth; it is migrated at the end."""
    try:
        yield
    finally:
        with psycopg.connect(database.url_of(database.worker_database())) as admin:
            admin.execute("DELETE FROM pipelines_pipelineversion")
            admin.execute(
                "ALTER TABLE pipelines_pipelineversion DROP CONSTRAINT IF EXISTS pipelines_version_streams"
            )
        migrate()


def definitions(world: World, pipeline: Pipeline) -> list[Any]:
    with world.scope():
        rows = PipelineVersion.objects.for_org(world.org).filter(pipeline=pipeline)
        return list(rows.order_by("number").values_list("definition", flat=True))


def plant(world: World, *documents: Any) -> Pipeline:
    """A pipeline with a version of each document."""
    with world.scope():
        pipeline: Pipeline = Pipeline.unscoped.create(
            org=world.org, name="old", version=len(documents)
        )
        for number, document in enumerate(documents, 1):
            PipelineVersion.unscoped.create(
                org=world.org, pipeline=pipeline, number=number, definition=document
            )
    return pipeline


def test_every_version_of_every_org_is_migrated_and_can_go_back(table: None) -> None:
    migrate(backwards=True)
    acme, other = make_world(), make_world("Other")
    planted = [(acme, plant(acme, PLAIN_OLD, FULL_OLD)), (other, plant(other, FULL_OLD, PLAIN_OLD))]
    migrate()
    assert [definitions(*each) for each in planted] == [
        [PLAIN_NEW, FULL_NEW],
        [FULL_NEW, PLAIN_NEW],
    ]
    migrate(backwards=True)
    assert [definitions(*each) for each in planted] == [
        [PLAIN_OLD, FULL_OLD],
        [FULL_OLD, PLAIN_OLD],
    ]


def test_a_process_of_the_release_before_cannot_write_its_shape(world: World) -> None:
    with pytest.raises(IntegrityError, match="pipelines_version_streams"):
        plant(world, PLAIN_OLD)
