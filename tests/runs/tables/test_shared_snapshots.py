"""All streams of a run are read in one snapshot of PostgreSQL, so that rows that refer to each other agree."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from pytest_django import Settings

from apps.engine import Outcome, RunSpec
from apps.engine.contract import Failed
from apps.engine.failures import FailureClass
from apps.runs.attempts import children, shared_snapshots
from apps.runs.execute import Worker
from apps.runs.models import Run
from local.database.postgres import EmbeddedPostgres
from tests.engine.sources.conftest import SourceDatabase
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.keeping.test_leftovers import run_pipeline
from tests.runs.processes import start_run
from tests.runs.stream_actions import call_before_streams
from tests.runs.tables.test_many_streams import RUNS, TABLES, Shop
from tests.world import World

END_READERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'source_reader'"
)


@pytest.fixture(autouse=True)
def private_networks(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_NETWORKS = True


@pytest.fixture
def shop(acme: World, database: SourceDatabase, engine_postgres: EmbeddedPostgres) -> Shop:
    return Shop(acme, database, engine_postgres)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STREAMS_AT_ONCE", 1)


def insert_everywhere(shop: Shop) -> None:
    shop.source.execute(*(f"INSERT INTO shop.{table} VALUES (9999, 'late')" for table in TABLES))


def moments_of(shop: Shop, run_id: Any) -> list[tuple[bool, int]]:
    """Return for each moment whether streams share it, and how many streams were published as of it."""
    answer = shop.world.client("viewer").get(f"{RUNS}/{run_id}/streams").json()
    return [(moment["at"] is not None, moment["streams"]) for moment in answer["moments"]]


def log_of(shop: Shop, run_id: Any) -> str:
    lines = shop.world.client().get(f"{RUNS}/{run_id}/logs").json()["lines"]
    return "\n".join(line["message"] for line in lines)


def retry_now(shop: Shop, worker: Worker) -> None:
    with shop.world.scope():
        Run.objects.for_org(shop.world.org).update(not_before=None)
    work_until_idle(worker)


@pytest.mark.sample(2)
@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("scope", ["auto", "run", "stream"])
def test_rows_that_are_inserted_between_two_streams_arrive_in_neither_or_only_in_the_later_one(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    pipeline = shop.create_pipeline()
    url = f"/api/v1/pipelines/{pipeline.pk}"
    snapshot = {"snapshot": {"scope": scope}}
    assert shop.world.client().patch(url, {"config": snapshot}).status_code == 200

    def insert_before_second(spec: RunSpec) -> None:
        if spec.source.stream == "shop.orders":
            insert_everywhere(shop)

    call_before_streams(monkeypatch, insert_before_second)
    run_id = run_pipeline(this_worker, shop.world, pipeline)
    late = 1 if scope == "stream" else 0
    arrived = [shop.arrived(table) for table in TABLES]
    assert arrived == [100, 200 + late, 300 + late, 400 + late, 500 + late]
    assert moments_of(shop, run_id) == [(False, 5)] if late else [(True, 5)]


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("retry", ["remaining", "all"])
def test_the_next_attempt_has_a_new_snapshot_and_reads_the_published_streams_again_if_chosen(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch, retry: str
) -> None:
    pipeline = shop.create_pipeline()
    url = f"/api/v1/pipelines/{pipeline.pk}"
    assert (
        shop.world.client().patch(url, {"config": {"snapshot": {"retry": retry}}}).status_code
        == 200
    )
    failed: list[str] = []

    def fail_once(spec: RunSpec) -> Outcome | None:
        if failed or spec.source.stream not in {"shop.places", "shop.visits"}:
            return None
        failed.append(spec.source.stream)
        insert_everywhere(shop)
        return Failed(FailureClass.SOURCE, "the connection was lost", retryable=True)

    call_before_streams(monkeypatch, fail_once)
    run_id = start_run(shop.world, pipeline)
    work_until_idle(this_worker)
    assert failed == ["shop.places"]
    assert shop.run(run_id)["streams_succeeded"] == 4
    retry_now(shop, this_worker)

    assert shop.run(run_id)["status"] == "succeeded"
    arrived = [shop.arrived(table) for table in TABLES]
    if retry == "all":
        assert arrived == [101, 201, 301, 401, 501]
        assert moments_of(shop, run_id) == [(True, 5)]
        assert "are read again" in log_of(shop, run_id)
        assert shop.run(run_id)["progress"]["written"] == 1505
    else:
        assert arrived == [100, 200, 300, 401, 500]
        assert sorted(moments_of(shop, run_id)) == [(False, 1), (True, 4)]
        assert "as of an earlier moment" in log_of(shop, run_id)


@pytest.mark.usefixtures("one_by_one")
def test_a_table_that_would_be_truncated_between_two_streams_keeps_its_rows_until_it_is_read(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRUNCATE ignores snapshots, so the tables are locked before the snapshot is taken."""
    refused: list[str] = []

    def truncate(spec: RunSpec) -> None:
        if spec.source.stream == "shop.orders":
            try:
                shop.source.execute("SET lock_timeout = '200ms'; TRUNCATE shop.visits")
            except psycopg.errors.LockNotAvailable as error:
                refused.append(str(error))

    call_before_streams(monkeypatch, truncate)
    run_pipeline(this_worker, shop.world, shop.create_pipeline())
    assert len(refused) == 1, "the table was not locked"
    assert [shop.arrived(table) for table in TABLES] == [100, 200, 300, 400, 500]


@pytest.mark.usefixtures("one_by_one")
def test_a_large_table_is_read_through_its_fast_connection_in_the_same_snapshot(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 60_000
    shop.source.execute(
        "DROP TABLE shop.visits",
        "CREATE TABLE shop.visits AS SELECT n AS id, repeat('x', 200) || n AS text"
        f" FROM generate_series(10001, {10_000 + rows}) n",
        "ALTER TABLE shop.visits ADD PRIMARY KEY (id)",
        f"GRANT SELECT ON shop.visits TO {shop.source.config['user']}",
    )
    pipeline = shop.create_pipeline()
    source = {"config": {"page_size": 20_000}}
    url = f"/api/v1/pipelines/{pipeline.pk}"
    assert shop.world.client().patch(url, {"config": {"source": source}}).status_code == 200

    def insert_before_last(spec: RunSpec) -> None:
        if spec.source.stream == "shop.visits":
            insert_everywhere(shop)

    call_before_streams(monkeypatch, insert_before_last)
    run_id = run_pipeline(this_worker, shop.world, pipeline)
    assert shop.arrived("visits") == rows
    assert moments_of(shop, run_id) == [(True, 5)]
    assert "one connection, which is slower" not in log_of(shop, run_id)


def test_a_missing_table_fails_alone_and_the_others_share_a_snapshot(
    shop: Shop, this_worker: Worker
) -> None:
    pipeline = shop.create_pipeline()
    shop.source.execute("DROP TABLE shop.items")
    run_id = start_run(shop.world, pipeline)
    work_until_idle(this_worker)
    assert shop.run(run_id)["streams_failed"] == 1
    assert moments_of(shop, run_id) == [(True, 4)]


def test_large_tables_and_long_runs_are_read_stream_by_stream_unless_the_user_wants_one_snapshot(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = shop.create_pipeline()
    url = f"/api/v1/pipelines/{pipeline.pk}"
    monkeypatch.setattr(shared_snapshots, "LARGEST_READ", 1000)
    run_id = run_pipeline(this_worker, shop.world, pipeline)
    assert moments_of(shop, run_id) == [(False, 5)]
    assert "because the tables have" in log_of(shop, run_id)
    # The last run was short, so the size does not matter.
    assert moments_of(shop, run_pipeline(this_worker, shop.world, pipeline)) == [(True, 5)]
    monkeypatch.setattr(shared_snapshots, "LONGEST_READ", shared_snapshots.LONGEST_READ * 0)
    run_id = run_pipeline(this_worker, shop.world, pipeline)
    assert moments_of(shop, run_id) == [(False, 5)]
    assert "because the last run took" in log_of(shop, run_id)
    assert (
        shop.world.client().patch(url, {"config": {"snapshot": {"scope": "run"}}}).status_code
        == 200
    )
    assert moments_of(shop, run_pipeline(this_worker, shop.world, pipeline)) == [(True, 5)]


def test_without_a_required_snapshot_the_attempt_fails_and_publishes_nothing(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = shop.create_pipeline()
    url = f"/api/v1/pipelines/{pipeline.pk}"
    assert (
        shop.world.client().patch(url, {"config": {"snapshot": {"scope": "run"}}}).status_code
        == 200
    )
    with shop.source.admin.transaction():
        shop.source.execute("LOCK TABLE shop.items IN ACCESS EXCLUSIVE MODE")
        monkeypatch.setattr(shared_snapshots, "SECONDS_TO_TAKE", 2.0)
        run_id = start_run(shop.world, pipeline)
        work_until_idle(this_worker)
    run = shop.run(run_id)
    assert (run["status"], run["streams_succeeded"]) == ("pending", 0)
    assert [shop.arrived(table) for table in TABLES] == [None] * 5
    retry_now(shop, this_worker)
    assert shop.run(run_id)["status"] == "succeeded"


@pytest.mark.usefixtures("one_by_one")
def test_a_stream_fails_and_is_tried_again_if_the_child_that_keeps_the_snapshot_has_ended(
    shop: Shop, this_worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[Any, ...]] = []

    def end_other_sessions(spec: RunSpec) -> None:
        if spec.source.stream == "shop.orders" and not ended:
            ended.extend(shop.source.rows(END_READERS))

    call_before_streams(monkeypatch, end_other_sessions)
    run_id = start_run(shop.world, shop.create_pipeline())
    work_until_idle(this_worker)
    assert (True,) in ended, "nobody kept a snapshot"
    run = shop.run(run_id)
    assert (run["status"], run["streams_succeeded"]) == ("pending", 1)
    assert "the snapshot that the streams of this run share has ended" in run["failure"]["message"]
    retry_now(shop, this_worker)
    assert shop.run(run_id)["status"] == "succeeded"
    assert [shop.arrived(table) for table in TABLES] == [100, 200, 300, 400, 500]


@pytest.mark.parametrize(
    ("snapshot", "changes", "field"),
    [
        ({"scope": "never"}, {}, "snapshot.scope"),
        ({"retry": "all"}, {"write_mode": "append"}, "snapshot.retry"),
        ({"size": 1}, {}, "snapshot.size"),
        ("run", {}, "snapshot"),
    ],
)
def test_wrong_choices_are_refused_with_the_name_of_the_field(
    shop: Shop, snapshot: Any, changes: dict[str, str], field: str
) -> None:
    pipeline = shop.create_pipeline(**changes)
    url = f"/api/v1/pipelines/{pipeline.pk}"
    answer = shop.world.client().patch(url, {"config": {"snapshot": snapshot}})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_choice_stays_if_the_change_does_not_name_it(shop: Shop) -> None:
    url = f"/api/v1/pipelines/{shop.create_pipeline().pk}"
    client = shop.world.client()
    client.patch(url, {"config": {"snapshot": {"scope": "run"}}})
    client.patch(url, {"config": {"snapshot": {"retry": "all"}}})
    shown = client.get(url).json()["config"]["snapshot"]
    assert shown == {"scope": "run", "retry": "all"}
    default = {"scope": "auto", "retry": "remaining"}
    assert "snapshot" not in client.patch(url, {"config": {"snapshot": default}}).json()["config"]
