"""A source table whose rows are changed behind the saved position, and a pipeline that copies it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg

from apps.pipelines.models import Pipeline
from apps.runs.backfills import chunks
from apps.runs.execute import Worker
from local.database.postgres import ADMINISTRATOR, EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.world import World, make_connector, make_pipeline

ROW_COUNT = 5_000  # one row a minute from 2026-01-01 00:01 on
COLUMNS = "id, at, text"
Rows = list[tuple[Any, ...]]


class Events:
    """The table `shop.events` and its copy `arrived.shop_events`. The settings are those of the stream."""

    def __init__(self, world: World, source: SourceDatabase, server: EmbeddedPostgres) -> None:
        self.world, self.source, self.server = world, source, server
        self.target_url = server.url(source.config["database"])
        reader = source.config["user"]
        source.execute(
            "DROP SCHEMA IF EXISTS arrived CASCADE",
            "DROP SCHEMA IF EXISTS shop CASCADE",
            "CREATE SCHEMA shop",
            f"GRANT USAGE ON SCHEMA shop TO {reader}",
            "CREATE TABLE shop.events AS SELECT n AS id, 'row ' || n AS text,"
            " timestamptz '2026-01-01 00:00+00' + n * interval '1 minute' AS at"
            f" FROM generate_series(1, {ROW_COUNT}) n",
            "ALTER TABLE shop.events ADD PRIMARY KEY (id)",
            f"GRANT SELECT ON shop.events TO {reader}",
        )

    def create_pipeline(
        self, *, destination: dict[str, Any] | None = None, **stream: Any
    ) -> Pipeline:
        pipeline: Pipeline = make_pipeline(
            self.world,
            config={
                "source": {
                    "kind": "postgres",
                    "config": {**self.source.config, "schemas": ["shop"], "page_size": 100},
                },
                "streams": [
                    {
                        "stream": "shop.events",
                        "sync_mode": "incremental",
                        "cursor_field": "at",
                        **stream,
                    }
                ],
                "destination": destination or {"connector_id": str(self._connect().pk)},
            },
        )
        return pipeline

    def create_pipeline_with_patterns(self, **defaults: Any) -> Pipeline:
        """Create a pipeline that does not name the table: its patterns choose it."""
        pipeline: Pipeline = make_pipeline(
            self.world,
            config={
                "source": {
                    "kind": "postgres",
                    "config": {**self.source.config, "schemas": ["shop"], "page_size": 100},
                },
                "patterns": {
                    "match": ["shop.*"],
                    "sync_mode": "incremental",
                    "cursor_field": "at",
                    **defaults,
                },
                "destination": {"connector_id": str(self._connect().pk)},
            },
        )
        return pipeline

    def _connect(self) -> Any:
        settings = {
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": self.source.config["database"],
            "user": ADMINISTRATOR,
            "password": self.server.password,
            "schema": "arrived",
        }
        return make_connector(self.world, role="destination", kind="postgres", config=settings)

    def change_behind_the_position(self) -> None:
        """Change rows without a new time, add one with an old time, and delete one."""
        self.source.execute(
            "UPDATE shop.events SET text = 'changed' WHERE id % 10 = 0",
            "INSERT INTO shop.events VALUES (90001, 'late', '2026-01-02 00:00:30+00')",
            "DELETE FROM shop.events WHERE id = 77",
        )

    def expected(self, condition: str = "true") -> Rows:
        return self.source.rows(f"SELECT {COLUMNS} FROM shop.events WHERE {condition} ORDER BY id")

    def arrived(self, condition: str = "true") -> Rows:
        with psycopg.connect(self.target_url) as connection:
            query = f"SELECT {COLUMNS} FROM arrived.shop_events WHERE {condition} ORDER BY id, text"
            return connection.execute(query.encode()).fetchall()

    def position(self, pipeline: Pipeline) -> Any:
        answer = self.world.client().get(f"/api/v1/pipelines/{pipeline.pk}/state").json()
        return answer["streams"]

    def backfill(
        self, pipeline: Pipeline, *, start: str | None = None, end: str | None = None, **body: Any
    ) -> dict[str, Any]:
        """Create a backfill of the table."""
        body = {"streams": ["shop.events"], "from": start, "to": end, **body}
        answer = self.world.client().post(path_of(pipeline), body)
        assert answer.status_code == 201, answer.content
        (created,) = answer.json()["results"]
        return dict(created)

    def show(self, pipeline: Pipeline, backfill: dict[str, Any]) -> dict[str, Any]:
        shown = self.world.client("viewer").get(f"{path_of(pipeline)}/{backfill['id']}")
        assert shown.status_code == 200
        return dict(shown.json())

    def finish(
        self, worker: Worker, pipeline: Pipeline, backfill: dict[str, Any]
    ) -> dict[str, Any]:
        """Start and run the chunks until the backfill has ended."""
        for _ in range(backfill["chunks"] + 1):
            chunks.start_due()
            work_until_idle(worker)
        return self.show(pipeline, backfill)

    def run(self, worker: Worker, pipeline: Pipeline) -> UUID:
        return run_pipeline(worker, self.world, pipeline)


def path_of(pipeline: Pipeline) -> str:
    return f"/api/v1/pipelines/{pipeline.pk}/backfills"
