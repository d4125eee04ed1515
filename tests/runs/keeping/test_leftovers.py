"""Deleting a pipeline removes all its data, and no data of other pipelines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from psycopg import sql

from apps.background import jobs
from apps.connectors.storage import data_root, files_root
from apps.engine.stream_keys import stream_key
from apps.engine.sync import state
from apps.pipelines import removal
from apps.pipelines.models import Pipeline
from apps.runs import tasks
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker
from apps.runs.models import Run, Status
from apps.runs.outputs import leftovers, storage
from tests.runs.claiming.test_attempts import has_read, work_until_idle, working_in_background
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run, wait_for_run
from tests.world import World, make_world

STATE_TABLES = {"stream_jobs": "name", "stream_resets": "name", "engine_stream": "stream_key"}
JOB_TABLES = ("source_cursors", "destination_cursors", "engine_job", "engine_batch")


@pytest.fixture
def pipeline_with_runs(acme: World, this_worker: Worker) -> Pipeline:
    """A pipeline that has run twice."""
    pipeline = make_pipeline(acme, source={"rows": 250}, write_mode="append")
    for _ in range(2):
        run_pipeline(this_worker, acme, pipeline)
    return pipeline


def run_pipeline(worker: Worker, world: World, pipeline: Pipeline) -> UUID:
    run_id = start_run(world, pipeline)
    work_until_idle(worker)
    with world.scope():
        assert Run.objects.for_org(world.org).get(pk=run_id).status == Status.SUCCEEDED
    return run_id


def delete_pipeline(world: World, pipeline: Pipeline) -> None:
    assert world.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204


def queued_removals() -> list[dict[str, str]]:
    """Return the arguments of the queued jobs that remove leftovers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo' ORDER BY id",
            [removal.TASK],
        )
        return [orjson.loads(args) for (args,) in cursor.fetchall()]


def remove_leftovers() -> None:
    """Run the queued removals as a worker would."""
    for arguments in queued_removals():
        tasks.remove_leftovers(**arguments)


def stored_files(world: World, folder: str = "") -> list[str]:
    root = Path(settings.DROVER_HOME) / "storage"
    paths = (root / "org" / str(world.org.pk) / folder).rglob("*")
    return sorted(str(path.relative_to(root)) for path in paths if path.is_file())


def count_engine_rows(pipeline: Pipeline) -> int:
    """Return the number of rows that the engine stores for this pipeline."""
    key = stream_key(pipeline.org_id, pipeline.pk, pipeline.stream)
    with psycopg.connect(state.engine_conninfo(settings.ENGINE_DATABASE_URL)) as engine:
        return sum(
            engine.execute(statement, [key]).fetchone()[0]  # type: ignore[index]
            for statement in _count_statements()
        )


def _count_statements() -> Iterator[sql.Composed]:
    for table, column in STATE_TABLES.items():
        yield sql.SQL("select count(*) from {} where {} = %s").format(
            sql.Identifier(table), sql.Identifier(column)
        )
    for table in JOB_TABLES:
        yield sql.SQL(
            "select count(*) from {} where job_id in (select id from stream_jobs where name = %s)"
        ).format(sql.Identifier(table))


def test_logs_files_and_engine_rows_of_a_deleted_pipeline_are_removed(
    acme: World, pipeline_with_runs: Pipeline
) -> None:
    assert len(stored_files(acme, "data")) > 2
    assert len(stored_files(acme, "run")) == 2
    assert count_engine_rows(pipeline_with_runs) > 4

    delete_pipeline(acme, pipeline_with_runs)
    remove_leftovers()

    assert stored_files(acme) == []
    assert count_engine_rows(pipeline_with_runs) == 0


def test_a_deletion_queues_one_removal_and_a_rolled_back_deletion_queues_none(
    acme: World, pipeline_with_runs: Pipeline
) -> None:
    with transaction.atomic():
        delete_pipeline(acme, pipeline_with_runs)
        transaction.set_rollback(True)
    assert queued_removals() == []

    delete_pipeline(acme, pipeline_with_runs)

    assert queued_removals() == [
        {"org_id": str(acme.org.pk), "pipeline_id": str(pipeline_with_runs.pk)}
    ]


def test_logs_files_and_engine_rows_of_another_pipeline_are_not_removed(
    acme: World, pipeline_with_runs: Pipeline, this_worker: Worker
) -> None:
    other_pipeline = make_pipeline(acme, source={"rows": 10})
    other_run = run_pipeline(this_worker, acme, other_pipeline)
    before = count_engine_rows(other_pipeline)
    other_files = [
        name
        for name in stored_files(acme)
        if str(other_pipeline.pk) in name or str(other_run) in name
    ]

    delete_pipeline(acme, pipeline_with_runs)
    remove_leftovers()

    assert stored_files(acme) == other_files
    assert count_engine_rows(other_pipeline) == before > 0
    client = acme.client()
    (output,) = client.get(f"/api/v1/runs/{other_run}/outputs").json()["results"]
    path = f"/api/v1/runs/{other_run}/outputs/{output['name']}"
    assert client.get(path).status_code == 200
    assert client.get(f"/api/v1/runs/{other_run}/logs").json()["lines"]


def test_no_data_of_another_org_is_removed(
    acme: World, pipeline_with_runs: Pipeline, this_worker: Worker
) -> None:
    globex = make_world("Globex")
    pipeline_of_globex = make_pipeline(globex, source={"rows": 10})
    run_pipeline(this_worker, globex, pipeline_of_globex)
    before = stored_files(globex), count_engine_rows(pipeline_of_globex)

    delete_pipeline(acme, pipeline_with_runs)
    remove_leftovers()
    # Acme has no pipeline with this id, so nothing is found.
    leftovers.remove(org_id=acme.org.pk, pipeline_id=pipeline_of_globex.pk)

    assert (stored_files(globex), count_engine_rows(pipeline_of_globex)) == before


def test_uploaded_files_of_the_org_are_not_removed(
    acme: World, pipeline_with_runs: Pipeline
) -> None:
    storage.write(f"{files_root(acme.org.pk).prefix}/airports.csv", b"iata\n")

    delete_pipeline(acme, pipeline_with_runs)
    remove_leftovers()

    assert stored_files(acme) == [f"org/{acme.org.pk}/files/airports.csv"]


def test_a_removal_can_be_repeated_and_may_find_no_data(
    acme: World, pipeline_with_runs: Pipeline
) -> None:
    delete_pipeline(acme, pipeline_with_runs)
    remove_leftovers()
    remove_leftovers()

    globex = make_world("Globex")
    pipeline_without_runs = make_pipeline(globex)
    delete_pipeline(globex, pipeline_without_runs)
    remove_leftovers()

    assert stored_files(acme) == stored_files(globex) == []
    assert count_engine_rows(pipeline_with_runs) == count_engine_rows(pipeline_without_runs) == 0


def test_an_interrupted_removal_continues(
    acme: World, pipeline_with_runs: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete_pipeline(acme, pipeline_with_runs)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "run_ids", _raise_storage_error)
        with pytest.raises(OSError, match="storage is unavailable"):
            remove_leftovers()
    assert stored_files(acme, "run")

    remove_leftovers()

    assert stored_files(acme) == []


def _raise_storage_error(*_: Any) -> Any:
    raise OSError("storage is unavailable")


def test_no_data_of_an_existing_pipeline_is_removed(
    acme: World, pipeline_with_runs: Pipeline
) -> None:
    before = stored_files(acme), count_engine_rows(pipeline_with_runs)

    assert not leftovers.remove(org_id=acme.org.pk, pipeline_id=pipeline_with_runs.pk)

    assert (stored_files(acme), count_engine_rows(pipeline_with_runs)) == before


def test_folders_that_belong_to_no_run_are_not_removed(
    acme: World, pipeline_with_runs: Pipeline
) -> None:
    storage.write(f"org/{acme.org.pk}/run/notes/readme.txt", b"mine\n")

    delete_pipeline(acme, pipeline_with_runs)
    remove_leftovers()

    assert stored_files(acme) == [f"org/{acme.org.pk}/run/notes/readme.txt"]


def test_only_the_duckdb_file_of_the_deleted_pipeline_is_removed(
    acme: World, this_worker: Worker
) -> None:
    deleted_pipeline, other_pipeline = (
        make_pipeline(acme, source={"rows": 10}, destination={"kind": "duckdb"}) for _ in range(2)
    )
    for pipeline in (deleted_pipeline, other_pipeline):
        run_pipeline(this_worker, acme, pipeline)

    delete_pipeline(acme, deleted_pipeline)
    remove_leftovers()

    folder = data_root(acme.org.pk, other_pipeline.pk).prefix
    remaining_files = [f"{folder}/.warehouse.duckdb.lock", f"{folder}/warehouse.duckdb"]
    assert sorted(stored_files(acme, "data")) == remaining_files


def test_a_worker_that_writes_after_the_removal_queues_a_second_removal(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 2000, "page_size": 100, "delay": 0.2})
    run_id = start_run(acme, pipeline)

    with working_in_background(this_worker):
        wait_for_run(acme, run_id, has_read(200))
        with acme.scope():  # as if the worker had ignored a request to cancel
            Run.objects.for_org(acme.org).filter(pk=run_id).update(
                cancel_requested_at=Now() - timedelta(seconds=30)
            )
            assert reconciler.enforce_cancel(org_id=acme.org.pk, run_id=run_id)
        delete_pipeline(acme, pipeline)
        remove_leftovers()
    assert queued_removals() == [{"org_id": str(acme.org.pk), "pipeline_id": str(pipeline.pk)}] * 2
    remove_leftovers()

    assert stored_files(acme) == []
    assert count_engine_rows(pipeline) == 0


def test_a_removal_of_a_dead_worker_is_queued_again(acme: World) -> None:
    delete_pipeline(acme, make_pipeline(acme))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    assert queued_removals() == []

    assert jobs.remove_jobs_of_dead_workers(reconciler.WORKER_TIMEOUT) == 1

    assert len(queued_removals()) == 1
