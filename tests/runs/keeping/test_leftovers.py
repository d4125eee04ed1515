"""A deleted pipeline leaves nothing behind, and removes nothing of others."""

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
from apps.engine.contract import stream_key
from apps.engine.sync import state
from apps.pipelines import removal
from apps.pipelines.models import Pipeline
from apps.runs import tasks
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker
from apps.runs.models import Run, Status
from apps.runs.outputs import leftovers, storage
from tests.runs.claiming.test_attempts import has_read, in_background, work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start, wait_for
from tests.world import World, make_world

STATE = {"stream_jobs": "name", "stream_resets": "name", "engine_stream": "stream_key"}
OF_JOBS = ("source_cursors", "destination_cursors", "engine_job", "engine_batch")


@pytest.fixture
def ran(acme: World, this_worker: Worker) -> Pipeline:
    """A pipeline that has run twice."""
    pipeline = make_pipeline(acme, source={"rows": 250}, write_mode="append")
    for _ in range(2):
        run(this_worker, acme, pipeline)
    return pipeline


def run(worker: Worker, world: World, pipeline: Pipeline) -> UUID:
    run_id = start(world, pipeline)
    work_until_idle(worker)
    with world.scope():
        assert Run.objects.for_org(world.org).get(pk=run_id).status == Status.SUCCEEDED
    return run_id


def delete(world: World, pipeline: Pipeline) -> None:
    assert world.client().delete(f"/api/v1/pipelines/{pipeline.pk}").status_code == 204


def removals() -> list[dict[str, str]]:
    """Return the arguments of the waiting removals."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args FROM procrastinate_jobs WHERE task_name = %s AND status = 'todo' ORDER BY id",
            [removal.REMOVE],
        )
        return [orjson.loads(args) for (args,) in cursor.fetchall()]


def remove_leftovers() -> None:
    """Run the removals as a worker would."""
    for carried in removals():
        tasks.remove_leftovers(**carried)


def files(world: World, folder: str = "") -> list[str]:
    root = Path(settings.DROVER_HOME) / "storage"
    found = (root / "org" / str(world.org.pk) / folder).rglob("*")
    return sorted(str(path.relative_to(root)) for path in found if path.is_file())


def remembered(pipeline: Pipeline) -> int:
    """Return the engine's rows of this pipeline."""
    key = stream_key(pipeline.org_id, pipeline.pk)
    with psycopg.connect(state.engine_conninfo(settings.ENGINE_DATABASE_URL)) as engine:
        return sum(
            engine.execute(statement, [key]).fetchone()[0]  # type: ignore[index]
            for statement in _counts()
        )


def _counts() -> Iterator[sql.Composed]:
    for table, column in STATE.items():
        yield sql.SQL("select count(*) from {} where {} = %s").format(
            sql.Identifier(table), sql.Identifier(column)
        )
    for table in OF_JOBS:
        yield sql.SQL(
            "select count(*) from {} where job_id in (select id from stream_jobs where name = %s)"
        ).format(sql.Identifier(table))


def test_logs_files_and_the_engines_memory_of_a_deleted_pipeline_are_gone(
    acme: World, ran: Pipeline
) -> None:
    assert len(files(acme, "data")) > 2
    assert len(files(acme, "run")) == 2
    assert remembered(ran) > 4

    delete(acme, ran)
    remove_leftovers()

    assert files(acme) == []
    assert remembered(ran) == 0


def test_a_deletion_asks_once_with_ids_only_and_one_that_is_taken_back_asks_nothing(
    acme: World, ran: Pipeline
) -> None:
    with transaction.atomic():
        delete(acme, ran)
        transaction.set_rollback(True)
    assert removals() == []

    delete(acme, ran)

    assert removals() == [{"org_id": str(acme.org.pk), "pipeline_id": str(ran.pk)}]


def test_another_pipeline_keeps_its_log_its_files_and_its_position(
    acme: World, ran: Pipeline, this_worker: Worker
) -> None:
    other = make_pipeline(acme, source={"rows": 10})
    other_run = run(this_worker, acme, other)
    before = remembered(other)
    own = [name for name in files(acme) if str(other.pk) in name or str(other_run) in name]

    delete(acme, ran)
    remove_leftovers()

    assert files(acme) == own
    assert remembered(other) == before > 0
    client = acme.client("viewer")
    (output,) = client.get(f"/api/v1/runs/{other_run}/outputs").json()["results"]
    path = f"/api/v1/runs/{other_run}/outputs/{output['name']}"
    assert client.get(path).status_code == 200
    assert client.get(f"/api/v1/runs/{other_run}/logs").json()["lines"]


def test_another_org_keeps_everything(acme: World, ran: Pipeline, this_worker: Worker) -> None:
    globex = make_world("Globex")
    theirs = make_pipeline(globex, source={"rows": 10})
    run(this_worker, globex, theirs)
    before = files(globex), remembered(theirs)

    delete(acme, ran)
    remove_leftovers()
    # Ids of two orgs in one job: the pipeline does not exist there, and neither do its files.
    leftovers.remove(org_id=acme.org.pk, pipeline_id=theirs.pk)

    assert (files(globex), remembered(theirs)) == before


def test_files_the_org_uploaded_stay(acme: World, ran: Pipeline) -> None:
    storage.write(f"{files_root(acme.org.pk).prefix}/airports.csv", b"iata\n")

    delete(acme, ran)
    remove_leftovers()

    assert files(acme) == [f"org/{acme.org.pk}/files/airports.csv"]


def test_removing_twice_and_where_nothing_ever_was_is_fine(acme: World, ran: Pipeline) -> None:
    delete(acme, ran)
    remove_leftovers()
    remove_leftovers()

    globex = make_world("Globex")
    never_ran = make_pipeline(globex)
    delete(globex, never_ran)
    remove_leftovers()

    assert files(acme) == files(globex) == []
    assert remembered(ran) == remembered(never_ran) == 0


def test_an_interrupted_removal_continues(
    acme: World, ran: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(acme, ran)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "run_ids", _away)
        with pytest.raises(OSError, match="storage is unavailable"):
            remove_leftovers()
    assert files(acme, "run")

    remove_leftovers()

    assert files(acme) == []


def _away(*_: Any) -> Any:
    raise OSError("storage is unavailable")


def test_a_pipeline_that_exists_loses_nothing(acme: World, ran: Pipeline) -> None:
    before = files(acme), remembered(ran)

    assert not leftovers.remove(org_id=acme.org.pk, pipeline_id=ran.pk)

    assert (files(acme), remembered(ran)) == before


def test_folders_that_belong_to_no_run_are_not_touched(acme: World, ran: Pipeline) -> None:
    storage.write(f"org/{acme.org.pk}/run/notes/readme.txt", b"mine\n")

    delete(acme, ran)
    remove_leftovers()

    assert files(acme) == [f"org/{acme.org.pk}/run/notes/readme.txt"]


def test_a_duckdb_file_goes_with_its_pipeline_alone(acme: World, this_worker: Worker) -> None:
    ours, other = (
        make_pipeline(acme, source={"rows": 10}, destination={"kind": "duckdb"}) for _ in range(2)
    )
    for pipeline in (ours, other):
        run(this_worker, acme, pipeline)

    delete(acme, ours)
    remove_leftovers()

    kept = f"{data_root(acme.org.pk, other.pk).prefix}/warehouse.duckdb"
    assert files(acme, "data") == [kept]


def test_a_worker_that_writes_after_the_removal_has_it_done_again(
    acme: World, this_worker: Worker
) -> None:
    pipeline = make_pipeline(acme, source={"rows": 2000, "page_size": 100, "delay": 0.2})
    run_id = start(acme, pipeline)

    with in_background(this_worker):
        wait_for(acme, run_id, has_read(200))
        with acme.scope():  # as if it had been told to stop and had not reacted
            Run.objects.for_org(acme.org).filter(pk=run_id).update(
                cancel_requested_at=Now() - timedelta(seconds=30)
            )
            assert reconciler.enforce_cancel(org_id=acme.org.pk, run_id=run_id)
        delete(acme, pipeline)
        remove_leftovers()
    assert removals() == [{"org_id": str(acme.org.pk), "pipeline_id": str(pipeline.pk)}] * 2
    remove_leftovers()

    assert files(acme) == []
    assert remembered(pipeline) == 0


def test_a_removal_whose_worker_died_is_given_to_another(acme: World) -> None:
    delete(acme, make_pipeline(acme))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    assert removals() == []

    assert jobs.remove_jobs_of_dead_workers(reconciler.WORKER_TIMEOUT) == 1

    assert len(removals()) == 1
