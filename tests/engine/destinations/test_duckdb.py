"""Specific to DuckDB: one file, one writer, case-insensitive names, and no access to other files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from apps.engine.contract import StorageRoot
from apps.engine.destinations.duckdb.database import database
from apps.engine.failures import ConfigurationError, ContractError, DestinationError
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.spelling import bag
from tests.engine.destinations.targets import DuckdbTarget, Sync, sync

HOLD = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def target(servers: Servers, tmp_path: Path) -> Iterator[DuckdbTarget]:
    made = DuckdbTarget(servers, tmp_path)
    yield made
    made.close()


def run(target: DuckdbTarget, statement: str) -> list[Any]:
    target.release()
    with duckdb.connect(target.file) as connection:
        return connection.execute(statement).fetchall()


def test_a_file_that_another_program_holds_fails_the_publication_and_then_works(
    target: DuckdbTarget,
) -> None:
    sync(target, [{"id": 1}], mode="append")
    job = Sync(target, "append", lock_timeout=0)
    job.write([{"id": 2}])
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, target.file],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    with pytest.raises(DestinationError, match=r"Another program has warehouse\.duckdb open"):
        job.publish()
    steps = list(target.make("b", lock_timeout=0).check())
    assert [(step.step, step.ok) for step in steps] == [("write", True), ("lock", False)]
    other.communicate()
    job.publish()
    assert bag(target.rows() or []) == bag([{"id": 1}, {"id": 2}])


def test_the_published_file_is_whole_without_its_log(target: DuckdbTarget) -> None:
    published = sync(target, [{"id": 1}])
    (output,) = published.outputs
    assert published.withdrawn == output.key  # it does not belong to an earlier sync any more
    assert (output.name, output.key) == ("warehouse.duckdb", "org/1/pipeline/2/warehouse.duckdb")
    assert output.bytes == target.file.stat().st_size
    assert not target.file.with_name("warehouse.duckdb.wal").exists()


def test_storage_in_a_bucket_is_refused(target: DuckdbTarget) -> None:
    target.data = StorageRoot("s3://bucket", "org/1")
    with pytest.raises(ConfigurationError, match="needs local storage"):
        Sync(target)


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
def test_statements_reach_nothing_but_staging(tmp_path: Path, statement: str) -> None:
    leaked = [1]
    with (
        pytest.raises((ConfigurationError, DestinationError)),
        database(tmp_path / "x.duckdb", staging=tmp_path / "staging", lock_timeout=0) as connection,
    ):
        connection.execute(statement.format(folder=tmp_path))
    assert leaked == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["x.duckdb"]


def test_fields_that_differ_only_in_case_keep_their_own_columns(target: DuckdbTarget) -> None:
    for _ in range(2):
        sync(target, [{"Name": "a", "name": "b", "NAME": "c", "": "d"}], mode="append")
    found = target.rows() or []
    assert [sorted(row.values()) for row in found] == [["a", "b", "c", "d"]] * 2


def test_two_tables_share_a_file(target: DuckdbTarget) -> None:
    sync(target, [{"id": 1}])
    target.name = "sales.airports"
    sync(target, [{"code": "x"}])
    sync(target, [{"code": "y"}], mode="append")
    assert run(target, "SELECT code FROM sales.airports ORDER BY code") == [("x",), ("y",)]
    assert run(target, "SELECT id FROM flights") == [(1,)]


def test_types_that_a_person_chose_are_kept(target: DuckdbTarget) -> None:
    sync(target, [{"id": 1}])
    run(
        target, "CREATE OR REPLACE TABLE flights (id BIGINT, doc JSON, small INTEGER, note VARCHAR)"
    )
    sync(target, [{"id": 2, "doc": {"a": 1}, "small": 7}], mode="append")
    types = dict(
        run(
            target,
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'flights'",
        )
    )
    assert types == {"id": "BIGINT", "doc": "JSON", "small": "INTEGER", "note": "VARCHAR"}
    job = Sync(target, "append")
    job.write([{"id": 3, "small": 2**40}])
    with pytest.raises(ContractError):
        job.publish()
    assert run(target, "SELECT id, small FROM flights") == [(2, 7)]


def test_a_view_is_not_a_table(target: DuckdbTarget) -> None:
    sync(target, [{"id": 1}])
    run(target, "CREATE VIEW numbers AS SELECT 1 AS id")
    target.name = "numbers"
    with pytest.raises(ConfigurationError, match="is not a table"):
        sync(target, [{"id": 1}])


def test_failures_do_not_show_the_paths_of_the_machine(target: DuckdbTarget) -> None:
    sync(target, [{"id": 1}])
    target.file.write_bytes(b"no database at all" * 1000)
    job = target.make("b")
    with pytest.raises(DestinationError) as caught:
        job.publish(())
    assert str(target.file.parent) not in " ".join([str(caught.value), *caught.value.evidence])


def test_the_newest_two_publications_of_a_table_are_remembered(target: DuckdbTarget) -> None:
    jobs = []
    for number in range(4):
        job = Sync(target)
        job.write([{"id": number}])
        job.publish()
        jobs.append(job.job)
    with duckdb.connect(target.file) as connection:
        found = connection.execute(
            "SELECT job_id FROM _drover_publications ORDER BY published_at"
        ).fetchall()
    assert found == [(job,) for job in jobs[-2:]]
