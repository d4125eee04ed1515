"""Pipelines with patterns: each run reads the streams that match then, and says what is new, gone or in conflict."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from pytest_django import Settings

from apps.pipelines.models import Pipeline
from apps.runs.execute import Worker
from apps.runs.models import RunStream
from local.database.postgres import ADMINISTRATOR, EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.processes import start_run
from tests.world import World, make_connector, make_pipeline

RUNS = "/api/v1/runs"
PIPELINES = "/api/v1/pipelines"


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


class Shop:
    """A source database with the schema `shop`, and a destination in the schema `arrived` of the same database."""

    def __init__(
        self, world: World, source: SourceDatabase, server: EmbeddedPostgres, worker: Worker
    ) -> None:
        self.world, self.source, self.worker = world, source, worker
        self._target_url = server.url(source.config["database"])
        source.execute(
            "DROP SCHEMA IF EXISTS arrived CASCADE",
            "DROP SCHEMA IF EXISTS shop CASCADE",
            "CREATE SCHEMA shop",
            f"GRANT USAGE ON SCHEMA shop TO {source.config['user']}",
        )
        for table in ("orders", "items", "items_tmp"):
            self.create_table(table)
        settings = {
            "host": "127.0.0.1",
            "port": server.port,
            "database": source.config["database"],
            "user": ADMINISTRATOR,
            "password": server.password,
            "schema": "arrived",
        }
        self.connector = make_connector(world, kind="postgres", config=dict(self.source.config))
        self.destination = make_connector(
            world, role="destination", kind="postgres", config=settings
        )

    def create_table(self, table: str, rows: int = 10) -> None:
        self.source.execute(
            f"CREATE TABLE shop.{table} AS SELECT n AS id, 'row ' || n AS text FROM generate_series(1, {rows}) n",
            f"ALTER TABLE shop.{table} ADD PRIMARY KEY (id)",
            f"GRANT SELECT ON shop.{table} TO {self.source.config['user']}",
        )

    def create_pipeline(self, *match: str, **parts: Any) -> Pipeline:
        patterns = {"match": list(match), **parts.pop("defaults", {})}
        config = {
            "source": {"connector_id": str(self.connector.pk)},
            "patterns": patterns,
            "destination": {"connector_id": str(self.destination.pk)},
            **parts,
        }
        pipeline: Pipeline = make_pipeline(self.world, config=config)
        return pipeline

    def run(self, pipeline: Pipeline) -> UUID:
        run_id = start_run(self.world, pipeline)
        work_until_idle(self.worker)
        return run_id

    def state(self, run_id: UUID) -> dict[str, Any]:
        run: dict[str, Any] = self.world.client().get(f"{RUNS}/{run_id}").json()
        return run

    def streams(self, run_id: UUID) -> dict[str, Any]:
        rows = self.world.client().get(f"{RUNS}/{run_id}/streams").json()["results"]
        return {row["stream"]: row for row in rows}

    def statuses(self, run_id: UUID) -> dict[str, str]:
        return {name: row["status"] for name, row in self.streams(run_id).items()}

    def states(self, pipeline: Pipeline) -> dict[str, str]:
        rows = self.world.client("viewer").get(f"{PIPELINES}/{pipeline.pk}/streams").json()
        return {row["stream"]: row["state"] for row in rows["results"]}

    def log(self, run_id: UUID) -> str:
        lines = self.world.client().get(f"{RUNS}/{run_id}/logs").json()["lines"]
        return "\n".join(line["message"] for line in lines)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._target_url) as connection:
            query = f"SELECT id, text, seen FROM arrived.{table} ORDER BY id"
            return connection.execute(query).fetchall()

    def arrived(self) -> dict[str, int]:
        """Return the number of rows of each table that has arrived."""
        with psycopg.connect(self._target_url) as connection:
            query = (
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'arrived'"
            )
            tables = [
                name for (name,) in connection.execute(query) if not name.startswith("_drover")
            ]
            counts = {}
            for table in tables:
                row = connection.execute(f'SELECT count(*) FROM arrived."{table}"').fetchone()
                assert row is not None
                counts[table] = int(row[0])
            return counts


@pytest.fixture
def shop(
    acme: World, database: SourceDatabase, engine_postgres: EmbeddedPostgres, this_worker: Worker
) -> Shop:
    return Shop(acme, database, engine_postgres, this_worker)


def test_a_run_reads_the_streams_that_match_when_it_begins(shop: Shop) -> None:
    pipeline = shop.create_pipeline("shop.*", "!*_tmp", naming="{table}")
    shop.create_table("visits", rows=5)
    run_id = shop.run(pipeline)
    assert shop.state(run_id)["status"] == "succeeded", shop.state(run_id)["failure"]
    assert shop.arrived() == {"items": 10, "orders": 10, "visits": 5}
    assert "The patterns match 3 streams." in shop.log(run_id)
    assert shop.state(run_id)["streams_total"] == 3
    row = shop.world.client().get(f"{PIPELINES}/{pipeline.pk}").json()
    assert (row["stream"], row["stream_count"]) == ("shop.*, !*_tmp", 3)
    state = shop.world.client().get(f"{PIPELINES}/{pipeline.pk}/state").json()
    assert len(state["streams"]) == 3


def test_a_new_table_is_read_by_the_next_run_and_its_log_names_it(shop: Shop) -> None:
    pipeline = shop.create_pipeline("shop.*", "!*_tmp")
    shop.run(pipeline)
    shop.create_table("visits")
    run_id = shop.run(pipeline)
    assert "New in the source: shop.visits." in shop.log(run_id)
    assert shop.arrived()["shop_visits"] == 10


@pytest.mark.sample(2)
@pytest.mark.parametrize(("policy", "state"), [("ask", "waiting"), ("ignore", "ignored")])
def test_a_new_table_is_not_read_until_somebody_adds_it(
    shop: Shop, policy: str, state: str
) -> None:
    pipeline = shop.create_pipeline("shop.*", "!*_tmp", new_streams=policy)
    shop.run(pipeline)
    shop.create_table("visits")
    run_id = shop.run(pipeline)
    assert shop.states(pipeline)["shop.visits"] == state
    assert ("not read until somebody adds them" in shop.log(run_id)) == (policy == "ask")
    assert "shop_visits" not in shop.arrived()
    shop.run(pipeline)
    assert shop.states(pipeline)["shop.visits"] == state

    body = {"decision": "add", "streams": ["shop.visits"]}
    decide = f"{PIPELINES}/{pipeline.pk}/streams/decide"
    assert shop.world.client().post(decide, body).status_code == 200
    shop.run(pipeline)
    assert shop.arrived()["shop_visits"] == 10


def test_a_run_is_red_for_a_table_that_is_gone_until_it_is_ignored(shop: Shop) -> None:
    pipeline = shop.create_pipeline("shop.*", "!*_tmp")
    shop.run(pipeline)
    shop.source.execute("DROP TABLE shop.orders")
    run_id = shop.run(pipeline)
    run = shop.state(run_id)
    assert (run["status"], run["streams_failed"], run["streams_succeeded"]) == ("failed", 1, 1)
    assert "The source does not list the stream shop.orders any more" in run["failure"]["message"]
    assert shop.statuses(run_id) == {"shop.items": "succeeded", "shop.orders": "failed"}
    listed = shop.world.client().get(f"{PIPELINES}/{pipeline.pk}/streams", {"missing": "true"})
    assert [row["stream"] for row in listed.json()["results"]] == ["shop.orders"]
    assert shop.arrived()["shop_orders"] == 10, "what arrived before must stay"

    body = {"decision": "ignore", "streams": ["shop.orders"]}
    shop.world.client().post(f"{PIPELINES}/{pipeline.pk}/streams/decide", body)
    positions = shop.world.client().get(f"{PIPELINES}/{pipeline.pk}/state").json()["streams"]
    assert [row["stream"] for row in positions] == ["shop.items"], "an ignored stream is not read"
    run_id = shop.run(pipeline)
    assert (shop.state(run_id)["status"], list(shop.statuses(run_id))) == (
        "succeeded",
        ["shop.items"],
    )


def test_a_retry_reads_a_table_that_is_back(shop: Shop) -> None:
    pipeline = shop.create_pipeline("shop.*", "!*_tmp")
    shop.run(pipeline)
    shop.source.execute("ALTER TABLE shop.orders RENAME TO hidden_tmp")
    run_id = shop.run(pipeline)
    assert shop.statuses(run_id)["shop.orders"] == "failed"
    shop.source.execute("ALTER TABLE shop.hidden_tmp RENAME TO orders")
    assert shop.world.client().post(f"{RUNS}/{run_id}/retry").status_code == 200
    work_until_idle(shop.worker)
    assert shop.state(run_id)["status"] == "succeeded"


@pytest.mark.long
def test_the_fields_and_the_transform_of_patterns_apply_also_in_a_retry(shop: Shop) -> None:
    """No attempt may send a value that the rules protect, also of a stream that an earlier attempt has chosen."""
    code = "def transform(record):\n    return {**record, 'seen': True}\n"
    rules = [{"field": "text", "protect": "hash"}, {"field": "nothing", "drop": True}]
    defaults = {"fields": {"rules": rules}, "transforms": [{"kind": "python", "code": code}]}
    pipeline = shop.create_pipeline("shop.*", "!*_tmp")
    change = {"config": {"patterns": defaults}}
    client = shop.world.client()
    assert client.patch(f"{PIPELINES}/{pipeline.pk}", change).status_code == 200
    shop.run(pipeline)
    shop.source.execute("ALTER TABLE shop.orders RENAME TO hidden_tmp")
    run_id = shop.run(pipeline)
    with shop.world.scope():
        stored = RunStream.objects.for_org(shop.world.org).filter(run_id=run_id)
        settings = list(stored.values_list("settings", flat=True))
    assert not any({"fields", "transforms"} & dict(each or {}).keys() for each in settings)
    shop.source.execute(
        "ALTER TABLE shop.hidden_tmp RENAME TO orders",
        "INSERT INTO shop.orders VALUES (11, 'row 11')",
    )
    shop.world.client().post(f"{RUNS}/{run_id}/retry")
    work_until_idle(shop.worker)
    assert shop.state(run_id)["status"] == "succeeded"
    rows = shop.rows("shop_orders")
    assert len(rows) == 11
    assert all(seen is True and len(text) == 64 for _, text, seen in rows)


def test_streams_whose_tables_collide_fail_with_the_reason_and_the_others_are_read(
    shop: Shop,
) -> None:
    other = make_pipeline(
        shop.world,
        config={
            "source": {"connector_id": str(shop.connector.pk)},
            "streams": [{"stream": "shop.items_tmp", "table": "taken"}],
            "destination": {"connector_id": str(shop.destination.pk)},
        },
    )
    shop.run(other)
    pipeline = shop.create_pipeline("shop.*", "!*_tmp", naming="{table}")
    shop.run(pipeline)
    shop.create_table("taken", rows=99)
    run_id = shop.run(pipeline)
    assert shop.statuses(run_id)["shop.taken"] == "failed"
    assert shop.statuses(run_id)["shop.orders"] == "succeeded"
    message = shop.streams(run_id)["shop.taken"]["failure"]["message"]
    assert message.startswith("Another pipeline writes the table taken")
    assert shop.arrived()["taken"] == 10, "the rows of the other pipeline must stay"
    shop.world.client().post(f"{RUNS}/{run_id}/retry")
    work_until_idle(shop.worker)
    assert shop.statuses(run_id)["shop.taken"] == "failed"
    assert shop.arrived()["taken"] == 10


def test_a_source_that_cannot_be_listed_fails_the_run_with_its_reason(shop: Shop) -> None:
    pipeline = shop.create_pipeline("shop.*")
    shop.source.execute(f"REVOKE USAGE ON SCHEMA shop FROM {shop.source.config['user']}")
    run = shop.state(shop.run(pipeline))
    assert (run["status"], run["failure"]["class"]) == ("failed", "configuration")
    assert "no stream that the patterns choose" in run["failure"]["message"]
    url = f"/api/v1/connectors/{shop.connector.pk}"
    shop.world.client().patch(url, {"config": {"password": "wrong"}})
    run = shop.state(shop.run(pipeline))
    assert run["failure"]["class"] == "authentication"
