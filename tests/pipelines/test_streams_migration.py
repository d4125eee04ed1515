"""Definitions of the previous release, which had no streams, are migrated. tests/local/upgrade runs such pipelines."""

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

OLD_DEFINITION: dict[str, Any] = {
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
NEW_DEFINITION: dict[str, Any] = {
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
TRANSFORM = {"kind": "python", "code": "def transform(record):\n    return record\n"}
OLD_DEFINITION_WITH_TRANSFORM = {
    **OLD_DEFINITION,
    "source": {**OLD_DEFINITION["source"], "version": 3, "cursor_field": "id", "primary_key": []},
    "transforms": [TRANSFORM],
}
NEW_DEFINITION_WITH_TRANSFORM = {
    **NEW_DEFINITION,
    "source": {**NEW_DEFINITION["source"], "version": 3},
    "streams": [
        {
            **NEW_DEFINITION["streams"][0],
            "cursor_field": "id",
            "primary_key": [],
            "transforms": [TRANSFORM],
        }
    ],
}


def run_migration(*, backwards: bool = False) -> None:
    """Run the statements of the migration with the role of `manage.py migrate`."""
    sql = StringIO()
    call_command("sqlmigrate", "pipelines", "0008", backwards=backwards, stdout=sql)
    with psycopg.connect(
        database.url_of(database.process_database_name()), autocommit=True
    ) as owner:
        owner.execute("SET ROLE app_owner")
        owner.execute(sql.getvalue())


@pytest.fixture
def versions_table(committed_db: None) -> Iterator[None]:
    """Let a test migrate the table of versions back and forth. It is migrated forward at the end."""
    try:
        yield
    finally:
        with psycopg.connect(database.url_of(database.process_database_name())) as admin:
            admin.execute("DELETE FROM pipelines_pipelineversion")
            admin.execute(
                "ALTER TABLE pipelines_pipelineversion DROP CONSTRAINT IF EXISTS pipelines_version_streams"
            )
        run_migration()


def stored_definitions(world: World, pipeline: Pipeline) -> list[Any]:
    with world.scope():
        rows = PipelineVersion.objects.for_org(world.org).filter(pipeline=pipeline)
        return list(rows.order_by("number").values_list("definition", flat=True))


def create_pipeline(world: World, *documents: Any) -> Pipeline:
    """Create a pipeline with a version for each document."""
    with world.scope():
        pipeline: Pipeline = Pipeline.unscoped.create(
            org=world.org, name="old", version=len(documents)
        )
        for number, document in enumerate(documents, 1):
            PipelineVersion.unscoped.create(
                org=world.org, pipeline=pipeline, number=number, definition=document
            )
    return pipeline


def test_every_version_of_every_org_is_migrated_forward_and_back(versions_table: None) -> None:
    run_migration(backwards=True)
    acme, other_world = make_world(), make_world("Other")
    pipelines = [
        (acme, create_pipeline(acme, OLD_DEFINITION, OLD_DEFINITION_WITH_TRANSFORM)),
        (other_world, create_pipeline(other_world, OLD_DEFINITION_WITH_TRANSFORM, OLD_DEFINITION)),
    ]
    run_migration()
    assert [stored_definitions(*org_and_pipeline) for org_and_pipeline in pipelines] == [
        [NEW_DEFINITION, NEW_DEFINITION_WITH_TRANSFORM],
        [NEW_DEFINITION_WITH_TRANSFORM, NEW_DEFINITION],
    ]
    run_migration(backwards=True)
    assert [stored_definitions(*org_and_pipeline) for org_and_pipeline in pipelines] == [
        [OLD_DEFINITION, OLD_DEFINITION_WITH_TRANSFORM],
        [OLD_DEFINITION_WITH_TRANSFORM, OLD_DEFINITION],
    ]


def test_a_process_of_the_previous_release_cannot_store_the_old_format(world: World) -> None:
    with pytest.raises(IntegrityError, match="pipelines_version_streams"):
        create_pipeline(world, OLD_DEFINITION)
