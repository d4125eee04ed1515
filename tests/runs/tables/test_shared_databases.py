"""The DuckDB database of a connector is one file of the org, with a table for each pipeline."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import orjson
import pytest
from django.core.files.storage import default_storage
from django.db import connection
from rest_framework.test import APIClient

from apps.connectors.storage import database_folder
from apps.orgs.models import Domain
from apps.pipelines.models import Pipeline, PipelineStream, PipelineVersion
from apps.runs import tasks
from apps.runs.execute import Worker
from apps.runs.models import Run
from apps.runs.outputs import databases
from tests.pipelines.test_domains import DomainObjects, client_with_domain_role, key_client
from tests.pipelines.test_one_writer import config, create, message_of, using
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.keeping.test_leftovers import (
    delete_pipeline,
    remove_leftovers,
    run_pipeline,
    stored_files,
)
from tests.runs.processes import has_ended, running_worker, start_run, wait_for_run
from tests.runs.test_outputs import list_outputs
from tests.world import World, make_connector, make_pipeline, make_world

KEEP_OPEN = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def connector(acme: World) -> Any:
    return make_connector(acme, role="destination", kind="duckdb", config={"database": "sales"})


def make(world: World, connector: Any, table: str, *, rows: int = 10, **fields: Any) -> Pipeline:
    stream = fields.pop("stream", {})
    config = using(connector, table=table, **stream)
    config["source"]["config"] = {"rows": rows}
    pipeline: Pipeline = make_pipeline(world, config=config, **fields)
    return pipeline


def file_of(world: World, connector: Any) -> Path:
    folder = default_storage.path(database_folder(world.org.pk, connector.pk))
    return Path(folder) / "database.duckdb"


def files_of(folder: str, database: str) -> list[str]:
    """Return the names of the lock and the file of a database."""
    return [f"{folder}/.{database}.duckdb.lock", f"{folder}/{database}.duckdb"]


def count_rows(file: Path) -> dict[str, int]:
    """Return the number of rows of each table."""
    with duckdb.connect(file, read_only=True) as database:
        names = database.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
            " WHERE table_name NOT LIKE '\\_drover\\_%' ESCAPE '\\' ORDER BY 1"
        ).fetchall()
        return {
            name: database.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            for (name,) in names
        }


def download(client: Any, run_id: UUID, name: str = "sales.duckdb") -> Any:
    return client.get(f"/api/v1/runs/{run_id}/outputs/{name}")


@contextmanager
def opened_by_another_process(file: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-c", KEEP_OPEN, file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    try:
        yield
    finally:
        process.communicate("close\n")


def test_pipelines_of_a_connector_share_a_file_and_their_runs_list_it(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    orders, people = make(acme, connector, "orders"), make(acme, connector, "hr.people", rows=7)
    first_run = run_pipeline(this_worker, acme, orders)
    second_run = run_pipeline(this_worker, acme, people)

    file = file_of(acme, connector)
    assert count_rows(file) == {"hr.people": 7, "main.orders": 10}
    for run_id, rows in ((first_run, 10), (second_run, 7)):
        (output,) = list_outputs(acme, run_id)  # Its size is that of the file.
        assert (output["name"], output["rows"]) == ("sales.duckdb", rows)
    folder = f"org/{acme.org.pk}/databases/{connector.pk}"
    assert stored_files(acme, "databases") == files_of(folder, "database")

    third_run = run_pipeline(this_worker, acme, orders)
    assert list_outputs(acme, first_run) == []
    assert len(list_outputs(acme, second_run)) == len(list_outputs(acme, third_run)) == 1


def test_names_that_differ_by_case_are_one_table(acme: World, connector: Any) -> None:
    make(acme, connector, "orders", name="Sales")
    for table in ("Orders", "main.orders", "MAIN.ORDERS"):
        assert "“Sales”" in message_of(create(acme, "People", using(connector, table=table)))
    assert create(acme, "People", using(connector, table="hr.orders")).status_code == 201
    other = make_connector(acme, role="destination", kind="duckdb", config={"database": "sales"})
    assert create(acme, "Other file", using(other)).status_code == 201


def test_a_deleted_pipeline_loses_its_tables_and_the_others_keep_theirs(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    orders, people = make(acme, connector, "orders", rows=5000), make(acme, connector, "people")
    run_pipeline(this_worker, acme, orders)
    run_id = run_pipeline(this_worker, acme, people)
    change = {"config": {"streams": [{"table": "orders2"}]}}
    assert acme.client().patch(f"/api/v1/pipelines/{orders.pk}", change).status_code == 200
    run_pipeline(this_worker, acme, orders)
    file = file_of(acme, connector)
    assert set(count_rows(file)) == {"main.orders", "main.orders2", "main.people"}

    delete_pipeline(acme, orders)
    remove_leftovers()

    assert count_rows(file) == {"main.people": 10}
    assert len(list_outputs(acme, run_id)) == 1
    run_pipeline(this_worker, acme, people)
    again = make(acme, connector, "orders", stream={"write_mode": "append"})
    run_pipeline(this_worker, acme, again)
    assert count_rows(file) == {"main.orders": 10, "main.people": 10}


def test_the_file_is_removed_with_its_connector(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    pipeline = make(acme, connector, "orders")
    other = make_connector(acme, role="destination", kind="duckdb")
    for each in (pipeline, make(acme, other, "orders")):
        run_pipeline(this_worker, acme, each)
    url = f"/api/v1/connectors/{connector.pk}"
    assert acme.client().delete(url).status_code == 409, "a pipeline uses it"
    moved = make(acme, connector, "moved")
    run_id = run_pipeline(this_worker, acme, moved)
    change = {"config": {"destination": {"kind": "logger", "config": {}}}}
    assert acme.client().patch(f"/api/v1/pipelines/{moved.pk}", change).status_code == 200
    assert len(list_outputs(acme, run_id)) == 1

    delete_pipeline(acme, pipeline)
    assert acme.client().delete(url).status_code == 204
    remove_databases()

    folder = f"org/{acme.org.pk}/databases/{other.pk}"
    assert stored_files(acme, "databases") == files_of(folder, "database")
    assert list_outputs(acme, run_id) == []
    remove_leftovers()
    assert stored_files(acme, "databases") == files_of(folder, "database")


def remove_databases() -> None:
    """Run the queued removals of files as a worker would."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT args FROM procrastinate_jobs WHERE task_name = 'connectors.remove_database'"
        )
        for (arguments,) in cursor.fetchall():
            tasks.remove_database(**orjson.loads(arguments))


def test_a_table_that_another_pipeline_left_is_not_appended_to(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    first = make(acme, connector, "orders")
    run_pipeline(this_worker, acme, first)
    change = {"config": {"streams": [{"table": "moved"}]}}
    assert acme.client().patch(f"/api/v1/pipelines/{first.pk}", change).status_code == 200

    second = make(acme, connector, "orders", stream={"write_mode": "append"})
    run_id = start_run(acme, second)
    work_until_idle(this_worker)
    with acme.scope():
        run = Run.objects.for_org(acme.org).get(pk=run_id)
    assert (run.status, run.failure_class) == ("failed", "configuration")
    assert "main.orders contains rows of another pipeline" in run.failure_message

    change = {"config": {"streams": [{"write_mode": "replace"}]}}
    assert acme.client().patch(f"/api/v1/pipelines/{second.pk}", change).status_code == 200
    run_pipeline(this_worker, acme, second)
    delete_pipeline(acme, first)
    remove_leftovers()
    assert count_rows(file_of(acme, connector)) == {"main.orders": 10}


def test_records_of_a_table_that_a_pipeline_elsewhere_has_got_are_not_for_members_of_the_domain(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    with acme.scope():
        domain = Domain.unscoped.create(org=acme.org, name="Ours")
    body = {"name": "k", "role": "member", "domain_id": str(domain.pk)}
    key = acme.client("admin").post("/api/v1/org/api-keys", body).json()["key"]
    only_ours = APIClient()
    only_ours.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    ours = make(acme, connector, "people", rows=3, domain_id=domain.pk)
    run_id = run_pipeline(this_worker, acme, ours)
    paths = [f"/api/v1/runs/{run_id}/rows", f"/api/v1/pipelines/{ours.pk}/rows"]
    assert [only_ours.get(path).status_code for path in paths] == [200, 200]

    change = {"config": {"streams": [{"table": "left"}]}}
    assert acme.client().patch(f"/api/v1/pipelines/{ours.pk}", change).status_code == 200
    run_pipeline(this_worker, acme, make(acme, connector, "people", rows=7))

    refused = [only_ours.get(path) for path in paths]
    assert [answer.status_code for answer in refused] == [409, 409]
    assert {answer.json()["code"] for answer in refused} == {"written_by_another"}
    # A member of the organization may look at the records of both pipelines.
    assert [acme.client().get(path).json()["total"] for path in paths] == [7, 7]


@pytest.mark.long
def test_two_workers_write_many_tables_at_once(acme: World, connector: Any) -> None:
    pipelines = [make(acme, connector, f"table_{n}", rows=20_000) for n in range(4)]
    with running_worker(), running_worker():
        for _ in range(2):
            run_ids = [start_run(acme, pipeline) for pipeline in pipelines]
            runs = [wait_for_run(acme, run_id, has_ended, seconds=120) for run_id in run_ids]
            assert [run["status"] for run in runs] == ["succeeded"] * 4
            assert [run["attempt"] for run in runs] == [1] * 4
    assert set(count_rows(file_of(acme, connector)).values()) == {20_000}
    for run in runs:
        assert len(list_outputs(acme, UUID(str(run["id"])))) == 1


@pytest.mark.long
def test_a_run_waits_for_the_writer_before_it_and_says_so(acme: World, connector: Any) -> None:
    pipeline = make(acme, connector, "orders")
    file = file_of(acme, connector)
    file.parent.mkdir(parents=True)
    with running_worker():
        with opened_by_another_process(file):
            run_id = start_run(acme, pipeline)
            wait_for_run(
                acme, run_id, lambda _: "Waiting until another run" in read_log(acme, run_id)
            )
        assert wait_for_run(acme, run_id, has_ended)["status"] == "succeeded"
    assert count_rows(file) == {"main.orders": 10}


def read_log(world: World, run_id: UUID) -> str:
    return str(world.client().get(f"/api/v1/runs/{run_id}/logs").json())


def test_a_download_is_a_copy_that_no_run_was_writing(
    acme: World,
    connector: Any,
    this_worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    run_id = run_pipeline(this_worker, acme, make(acme, connector, "orders"))
    file = file_of(acme, connector)
    before = file.read_bytes()
    answer = download(acme.client("member"), run_id)
    run_pipeline(this_worker, acme, make(acme, connector, "people", rows=5000))
    assert b"".join(answer.streaming_content) == before
    assert file.read_bytes() != before
    folder = str(file.parent.relative_to(default_storage.path("")))
    assert stored_files(acme, "databases") == files_of(folder, "database")

    monkeypatch.setattr(databases, "LOCK_SECONDS", 0.3)
    with opened_by_another_process(file):
        answer = download(acme.client("member"), run_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    with databases._copying:  # Another download is being prepared.
        answer = download(acme.client("member"), run_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "busy")
    copied = tmp_path / "copy.duckdb"
    copied.write_bytes(b"".join(download(acme.client("member"), run_id).streaming_content))
    assert count_rows(copied) == {"main.orders": 10, "main.people": 5000}


def test_a_file_with_tables_of_all_domains_is_only_for_members_and_keys_of_the_org(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    with acme.scope():
        domain = Domain.unscoped.create(org=acme.org, name="Own")
    pipeline = make(acme, connector, "orders", domain_id=domain.pk)
    run_id = run_pipeline(this_worker, acme, pipeline)
    url = f"/api/v1/runs/{run_id}/outputs"

    assert len(list_outputs(acme, run_id)) == 1
    limited = key_client(DomainObjects(acme, domain, domain, {}, {}))
    assert limited.get(url).json()["results"] == []
    assert download(limited, run_id).status_code == 404
    stranger = make_world("Other").client("owner")
    assert stranger.get(url).status_code == download(stranger, run_id).status_code == 404


def test_a_member_of_one_domain_does_not_download_the_tables_of_all_domains(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    with acme.scope():
        domain = Domain.unscoped.create(org=acme.org, name="Own")
    ours = make(acme, connector, "orders", domain_id=domain.pk)
    own_file = make_pipeline(
        acme,
        config=config({"kind": "jsonl", "config": {}}, table="orders"),
        domain_id=domain.pk,
    )
    run_id, run_of_own_file = (run_pipeline(this_worker, acme, each) for each in (ours, own_file))
    client = client_with_domain_role(DomainObjects(acme, domain, domain, {}, {}))

    refused = download(client, run_id)
    assert (refused.status_code, "data.view" in refused.json()["detail"]) == (403, True)
    (output,) = list_outputs(acme, run_of_own_file)
    assert download(client, run_of_own_file, output["name"]).status_code == 200
    assert download(acme.client("member"), run_id).status_code == 200


def test_a_pipeline_of_an_older_release_keeps_its_own_file(
    acme: World, connector: Any, this_worker: Worker
) -> None:
    pipeline, other = make(acme, connector, "orders"), make(acme, connector, "people")
    with acme.scope():
        for row in (pipeline, other):
            PipelineVersion.objects.for_org(acme.org).filter(pipeline=row).update(own_database=True)
            PipelineStream.objects.for_org(acme.org).filter(pipeline=row).update(target="")
    change = {"config": {"streams": [{"write_mode": "append"}]}}
    url = f"/api/v1/pipelines/{pipeline.pk}"
    for _ in range(2):
        run_id = run_pipeline(this_worker, acme, pipeline)
        assert acme.client().patch(url, change).status_code == 200
    (output,) = list_outputs(acme, run_id)
    folder = f"org/{acme.org.pk}/data/{pipeline.pk}"
    own_file = f"{folder}/sales.duckdb"
    assert stored_files(acme, "data") == files_of(folder, "sales")
    assert count_rows(Path(default_storage.path(own_file))) == {"main.orders": 20}
    assert output["name"] == "sales.duckdb"
    make(acme, connector, "orders", name="New")

    moved = {"config": {"streams": [{"table": "moved", "write_mode": "replace"}]}}
    assert acme.client().patch(url, moved).status_code == 200
    run_pipeline(this_worker, acme, pipeline)
    assert count_rows(file_of(acme, connector)) == {"main.moved": 10}
    back = {"config": {"streams": [{"table": "orders"}]}}
    assert "“New”" in message_of(acme.client().patch(url, back))

    assert acme.client().post(f"{url}/versions/1/restore").status_code == 200
    run_pipeline(this_worker, acme, pipeline)
    assert count_rows(Path(default_storage.path(own_file))) == {"main.orders": 10}


def test_settings_without_a_connector_have_a_file_of_their_own(
    acme: World, this_worker: Worker
) -> None:
    config = using(make_connector(acme, role="destination", kind="duckdb"), table="orders")
    config["destination"] = {"kind": "duckdb", "config": {}}
    for _ in range(2):
        run_pipeline(this_worker, acme, make_pipeline(acme, config=config))
    names = [name for name in stored_files(acme, "data") if name.endswith(".duckdb")]
    assert len(names) == 2
    assert stored_files(acme, "databases") == []
