"""Tables with the same name in two schemas arrive in two tables, and a run says if its table is shared."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from pytest_django import Settings

from apps.pipelines.models import Pipeline
from apps.runs.execute import Worker
from local.database.postgres import ADMINISTRATOR, EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.pipelines.test_one_writer import share_table_as_before_the_rule
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.runs.processes import start_run
from tests.world import World, make_connector, make_pipeline


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


def config(source: SourceDatabase, destination: Any, stream: str) -> dict[str, Any]:
    schemas = ["sales", "hr", "public"]
    return {
        "source": {"kind": "postgres", "config": {**source.config, "schemas": schemas}},
        "streams": [{"stream": stream, "primary_key": ["id"]}],
        "destination": {"connector_id": str(destination.pk)},
    }


def test_tables_of_two_schemas_arrive_in_two_tables(
    acme: World,
    this_worker: Worker,
    database: SourceDatabase,
    engine_postgres: EmbeddedPostgres,
) -> None:
    """Case P8: without a table name in the request, both pipelines wrote to `orders`."""
    name = database.config["database"]
    settings = {
        "host": "127.0.0.1",
        "port": engine_postgres.port,
        "database": name,
        "user": ADMINISTRATOR,
        "password": engine_postgres.password,
        "schema": "arrived",
    }
    destination = make_connector(acme, role="destination", kind="postgres", config=settings)
    for number, schema in enumerate(("sales", "hr"), 1):
        database.execute(
            f"CREATE SCHEMA {schema}",
            f"GRANT USAGE ON SCHEMA {schema} TO {database.config['user']}",
            f"CREATE TABLE {schema}.orders AS SELECT {number} AS id",
        )
        pipeline = make_pipeline(acme, config=config(database, destination, f"{schema}.orders"))
        run_pipeline(this_worker, acme, pipeline)
    with psycopg.connect(engine_postgres.url(name)) as connection:
        query = "SELECT s.id, h.id FROM arrived.sales_orders s, arrived.hr_orders h"
        assert connection.execute(query).fetchall() == [(1, 2)]


def log_of(world: World, run_id: UUID) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = world.client().get(f"/api/v1/runs/{run_id}/logs").json()["lines"]
    return lines


def test_the_log_of_a_run_says_that_its_table_is_shared(acme: World, this_worker: Worker) -> None:
    """The destination cannot be reached here, so the run fails after that warning."""
    pipelines: list[Pipeline] = share_table_as_before_the_rule(acme)
    run_id = start_run(acme, pipelines[1])
    work_until_idle(this_worker)
    warnings = [row["message"] for row in log_of(acme, run_id) if row["level"] == "warning"]
    assert "Another pipeline writes to the same table" in warnings[0]
    assert "“" not in warnings[0], "it names no pipeline, which a reader of the log might not see"
