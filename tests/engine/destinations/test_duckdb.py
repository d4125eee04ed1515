"""The DuckDB destination: one file, one writer, case-insensitive names, and no access to other files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from apps.engine.contract import FileMoved, StorageRoot, WriteMode
from apps.engine.destinations.duckdb.database import open_database
from apps.engine.destinations.duckdb.tables import drop_tables
from apps.engine.failures import ConfigurationError, DestinationError
from apps.engine.sync.build import build_destination
from tests.engine.destinations.multisets import multiset
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import DuckdbTarget, SyncJob, sync

KEEP_OPEN_SCRIPT = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def target(servers: Servers, tmp_path: Path) -> Iterator[DuckdbTarget]:
    duckdb_target = DuckdbTarget(servers, tmp_path)
    yield duckdb_target
    duckdb_target.close()


def run_statement(target: DuckdbTarget, statement: str) -> list[Any]:
    target.release_locks()
    with duckdb.connect(target.file) as connection:
        return connection.execute(statement).fetchall()


def test_publishing_fails_while_another_program_has_the_file_open(
    target: DuckdbTarget,
) -> None:
    sync(target, [{"id": 1}], mode="append")
    job = SyncJob(target, "append", lock_timeout=0)
    job.write([{"id": 2}])
    other_program = subprocess.Popen(
        [sys.executable, "-c", KEEP_OPEN_SCRIPT, target.file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other_program.stdout is not None
    assert other_program.stdout.readline() == "open\n"
    with pytest.raises(
        DestinationError, match=r"Another run or program has warehouse\.duckdb open"
    ):
        job.publish()
    steps = list(target.make_destination("b", lock_timeout=0).check())
    assert [(step.step, step.ok) for step in steps] == [("write", True), ("lock", False)]
    other_program.communicate()
    job.publish()
    assert multiset(target.read_rows() or []) == multiset([{"id": 1}, {"id": 2}])


def test_the_published_file_is_complete_without_a_write_ahead_log(target: DuckdbTarget) -> None:
    published = sync(target, [{"id": 1}])
    (output,) = published.outputs
    assert published.withdrawn_prefix == output.key  # the file no longer belongs to an earlier sync
    assert (output.name, output.key) == ("warehouse.duckdb", "org/1/pipeline/2/warehouse.duckdb")
    assert output.bytes == target.file.stat().st_size
    assert not target.file.with_name("warehouse.duckdb.wal").exists()


@pytest.mark.parametrize("mode", ["append", "merge"])
def test_an_earlier_run_still_lists_the_file_that_has_its_rows(
    target: DuckdbTarget, mode: Any
) -> None:
    sync(target, [{"id": 1}], mode=mode, key=["id"])
    published = sync(target, [{"id": 2}], mode=mode, key=["id"])
    (output,) = published.outputs
    assert published.withdrawn_prefix is None
    assert published.moved == (FileMoved(output.key, output.key, output.bytes),)


def test_storage_in_a_bucket_is_refused(target: DuckdbTarget) -> None:
    target.data = StorageRoot("s3://bucket", "org/1")
    with pytest.raises(ConfigurationError, match="needs local storage"):
        SyncJob(target)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT * FROM leaked",
    ],
)
def test_statements_cannot_access_python_variables_and_files_outside_staging(
    tmp_path: Path, statement: str
) -> None:
    leaked = [1]  # DuckDB can read a Python variable like a table.
    with (
        pytest.raises((ConfigurationError, DestinationError)),
        open_database(
            tmp_path / "x.duckdb", staging=tmp_path / "staging", lock_timeout=0
        ) as connection,
    ):
        connection.execute(statement.format(folder=tmp_path))
    assert leaked == [1]
    assert {path.name for path in tmp_path.iterdir()} == {"x.duckdb", ".x.duckdb.lock"}


def test_fields_that_differ_only_in_case_keep_their_own_columns(target: DuckdbTarget) -> None:
    for _ in range(2):
        sync(target, [{"Name": "a", "name": "b", "NAME": "c", "": "d"}], mode="append")
    rows = target.read_rows() or []
    assert [sorted(row.values()) for row in rows] == [["a", "b", "c", "d"]] * 2


def test_two_tables_are_stored_in_one_file(target: DuckdbTarget) -> None:
    sync(target, [{"id": 1}])
    target.table = "sales.airports"
    sync(target, [{"code": "x"}])
    sync(target, [{"code": "y"}], mode="append")
    assert run_statement(target, "SELECT code FROM sales.airports ORDER BY code") == [
        ("x",),
        ("y",),
    ]
    assert run_statement(target, "SELECT id FROM flights") == [(1,)]


def test_column_types_chosen_by_a_person_are_kept_unless_a_number_does_not_fit(
    target: DuckdbTarget,
) -> None:
    sync(target, [{"id": 1}])
    run_statement(
        target, "CREATE OR REPLACE TABLE flights (id BIGINT, doc JSON, small INTEGER, note VARCHAR)"
    )
    sync(target, [{"id": 2, "doc": {"a": 1}, "small": 7}], mode="append")
    types = dict(
        run_statement(
            target,
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'flights'",
        )
    )
    assert types == {"id": "BIGINT", "doc": "JSON", "small": "INTEGER", "note": "VARCHAR"}
    job = SyncJob(target, "append")
    job.write([{"id": 3, "small": 2**40}])
    job.publish()
    assert run_statement(target, "SELECT id, small FROM flights ORDER BY id") == [
        (2, 7),
        (3, 2**40),
    ]


def test_publishing_to_a_view_is_refused(target: DuckdbTarget) -> None:
    sync(target, [{"id": 1}])
    run_statement(target, "CREATE VIEW numbers AS SELECT 1 AS id")
    target.table = "numbers"
    with pytest.raises(ConfigurationError, match="is not a table"):
        sync(target, [{"id": 1}])


def test_failures_do_not_show_paths_of_the_server(target: DuckdbTarget) -> None:
    sync(target, [{"id": 1}])
    target.file.write_bytes(b"no database at all" * 1000)
    destination = target.make_destination("b")
    with pytest.raises(DestinationError) as raised:
        destination.publish(())
    assert str(target.file.parent) not in " ".join([str(raised.value), *raised.value.evidence])


def test_the_newest_two_publications_of_a_table_are_remembered(target: DuckdbTarget) -> None:
    job_ids = []
    for number in range(4):
        job = SyncJob(target)
        job.write([{"id": number}])
        job.publish()
        job_ids.append(job.job_id)
    with duckdb.connect(target.file) as connection:
        stored_job_ids = connection.execute(
            "SELECT job_id FROM _drover_publications ORDER BY published_at"
        ).fetchall()
    assert stored_job_ids == [(job,) for job in job_ids[-2:]]


def shared_job(target: DuckdbTarget, pipeline: str, mode: WriteMode, **fields: Any) -> SyncJob:
    """Return the job of a pipeline that shares the file of a connector, with a folder of its own for staged rows."""
    target.data = StorageRoot(target.data.url, f"org/1/data/{pipeline}")
    job = SyncJob(target, mode)
    spec = replace(target.spec(mode), shared_folder="org/1/databases/c", **fields)
    job.destination = build_destination(spec, job_id=job.job_id, data=target.data)
    job.write([{"id": 1}])
    return job


def test_staged_rows_stay_in_the_folder_of_the_pipeline(
    target: DuckdbTarget, tmp_path: Path
) -> None:
    job = shared_job(target, "a", "replace")
    assert not (tmp_path / "org/1/databases").exists()
    assert len(list((tmp_path / "org/1/data/a").rglob("*.parquet"))) == 1
    (output,) = job.publish().outputs
    assert (output.name, output.key) == ("warehouse.duckdb", "org/1/databases/c/database.duckdb")
    assert list((tmp_path / "org/1/data").rglob("*.*")) == []


def test_a_table_that_another_pipeline_left_is_only_replaced_by_a_full_refresh(
    target: DuckdbTarget,
) -> None:
    shared_job(target, "a", "replace").publish()
    for refused_job in (
        shared_job(target, "b", "append"),
        shared_job(target, "b", "replace", protects_other_pipelines=True),
    ):
        with pytest.raises(ConfigurationError, match="contains rows of another pipeline"):
            refused_job.publish()
    shared_job(target, "b", "replace").publish()
    shared_job(target, "b", "append").publish()
    with pytest.raises(ConfigurationError, match="contains rows of another pipeline"):
        shared_job(target, "a", "append").publish()


def test_only_the_tables_that_a_pipeline_wrote_last_are_dropped(
    target: DuckdbTarget, tmp_path: Path
) -> None:
    for pipeline, table in (("a", "kept"), ("b", "kept"), ("a", "Sales.Gone"), ("b", "other")):
        target.table = table
        shared_job(target, pipeline, "replace").publish()
    payload: dict[str, Any] = {
        "data": {"url": target.data.url, "prefix": ""},
        "file": "org/1/databases/c/database.duckdb",
        "owner": "org/1/data/a",
    }
    assert drop_tables(payload)["tables"] == ["Sales.Gone"]
    assert drop_tables(payload)["tables"] == []
    with duckdb.connect(tmp_path / payload["file"], read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()
    assert [name for (name,) in names] == [
        "_drover_publications",
        "_drover_tables",
        "kept",
        "other",
    ]
    assert drop_tables({**payload, "file": "org/1/databases/d/database.duckdb"})["bytes"] is None


def test_names_of_the_tables_of_drover_are_refused(target: DuckdbTarget) -> None:
    for table in ("_drover_tables", "main._DROVER_publications"):
        target.table = table
        with pytest.raises(ConfigurationError, match="reserved for Drover"):
            SyncJob(target)


OPEN_TOGETHER_SCRIPT = """
import sys
from pathlib import Path
from apps.engine.destinations.duckdb.database import open_database
print("ready", flush=True)
for line in sys.stdin:
    file = Path(line.strip())
    try:
        with open_database(file, staging=file.parent, lock_timeout=60) as connection:
            connection.execute(f"CREATE TABLE {sys.argv[1]} AS SELECT 1 AS n")
        print("done", flush=True)
    except Exception as error:
        print(error, getattr(error, "evidence", ""), flush=True)
"""


HOLD_OPEN_SCRIPT = """
import sys
from pathlib import Path
from apps.engine.destinations.duckdb.database import open_database
file = Path(sys.argv[1])
with open_database(file, staging=file.parent, lock_timeout=0):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_file_is_not_read_before_another_process_has_closed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB reads the headers of a file before it locks the file. If they change in between, it loses rows."""
    file = tmp_path / "database.duckdb"
    other_process = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN_SCRIPT, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert _read_line(other_process) == "open"
    read_files: list[Path] = []

    def connect(path: Path, **options: Any) -> duckdb.DuckDBPyConnection:
        read_files.append(path)
        return real_connect(path, **options)

    real_connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", connect)
    with (
        pytest.raises(DestinationError, match=r"Another run or program has database\.duckdb open"),
        open_database(file, staging=tmp_path, lock_timeout=0.2),
    ):
        pass
    assert not read_files
    other_process.communicate()
    with open_database(file, staging=tmp_path, lock_timeout=0) as connection:
        connection.execute("SELECT 1")
    assert read_files == [file]


@pytest.mark.long
def test_several_processes_create_a_file_at_once(tmp_path: Path) -> None:
    """DuckDB spoils a new file if two processes create it at the same time."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_TOGETHER_SCRIPT, f"t{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for number in range(4)
    ]
    assert [_read_line(process) for process in processes] == ["ready"] * 4
    for attempt in range(30):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{tmp_path / str(attempt) / 'database.duckdb'}\n")
        assert [_read_line(process) for process in processes] == ["done"] * 4, attempt
    for process in processes:
        process.communicate()


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
