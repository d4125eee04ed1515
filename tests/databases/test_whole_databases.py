"""Whole databases arrive in one run of one pipeline: every table, every value, and every foreign key."""

from __future__ import annotations

from typing import Any

import pytest

from apps.pipelines.models import Pipeline
from tests.databases.comparing import require_equal_tables, require_foreign_keys
from tests.databases.moving import KINDS, Mover
from tests.databases.source_tables import SourceReader, load

# The number of tables and views of each schema, and the number of its foreign keys.
SIZES = {"music": (12, 11), "rental": (21, 20), "trade": (10, 8), "kinds": (20, 1)}


@pytest.mark.sample(8)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schema", SIZES)
def test_a_database_arrives_whole_in_one_run(mover: Mover, schema: str, kind: str) -> None:
    move_and_compare(mover, kind, [schema])


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_databases_of_several_schemas_arrive_whole_in_each_run(mover: Mover, kind: str) -> None:
    move_and_compare(mover, kind, list(SIZES), runs=2, naming="{schema}.{table}")


def move_and_compare(
    mover: Mover, kind: str, schemas: list[str], *, runs: int = 1, **parts: Any
) -> None:
    load(mover.source, *schemas)
    pipeline = mover.create(kind, *(f"{schema}.*" for schema in schemas), **parts)
    for _ in range(runs):
        require_whole_databases(mover, pipeline, kind, schemas)


def require_whole_databases(
    mover: Mover, pipeline: Pipeline, kind: str, schemas: list[str]
) -> None:
    run_id = mover.run_to_success(pipeline)

    reader = SourceReader(mover.source.admin, schemas)
    expected = reader.tables(arrays_as_json=kind != "postgres")
    keys = reader.foreign_keys()
    assert len(expected) == sum(SIZES[schema][0] for schema in schemas)
    assert len(keys) == sum(SIZES[schema][1] for schema in schemas)
    arrived = mover.arrived(pipeline, run_id)
    require_equal_tables(kind, expected, arrived)
    require_foreign_keys(keys, arrived)
    for name, row in mover.streams(run_id).items():
        assert row["read"] == row["written"] == len(expected[name].rows), name
