"""A person looks at the records of a destination: exact texts, in pages, and hostile files harm nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from apps.egress.exceptions import EgressError
from apps.engine import arrived, destinations
from apps.engine.destinations.base import Destination
from apps.engine.destinations.duckdb import reading
from apps.engine.failures import ConfigurationError, DestinationError, EngineError, TimedOut
from apps.engine.process.supervisor import EngineSupervisor
from apps.engine.targets import READABLE_KINDS
from tests.engine.destinations.servers import Servers
from tests.engine.destinations.targets import (
    TARGETS,
    DuckdbTarget,
    FileTarget,
    JsonlTarget,
    ParquetTarget,
    PostgresTarget,
    S3Target,
    Target,
    sync,
)

MODULE = "apps.engine.arrived"
BIG = 2**63 - 1


def payload_of(target: Target, **values: Any) -> dict[str, Any]:
    spec = target.spec("append")
    return {
        "role": "destination",
        "kind": spec.kind,
        "config": spec.config,
        "table": spec.table,
        "data": asdict(target.data),
        "offset": 0,
        "limit": 100,
        "max_characters": 1000,
        "allow_private_networks": True,
        **values,
    }


def look(target: Target, **values: Any) -> dict[str, Any]:
    return arrived.read_rows(payload_of(target, **values))


def test_records_are_shown_exactly_with_the_types_of_their_columns(target: Target) -> None:
    at = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    rows: list[dict[str, Any]] = [
        {"id": BIG, "price": Decimal("12345678901234567890.10"), "at": at, "day": at.date()},
        {"id": 2, "price": None, "at": None, "day": date(1, 1, 1)},
    ]
    extra = {
        "ok": True,
        "text": "e\u00e9\U0001f600\x00" if target.kind == "jsonl" else "é😀",
        "raw": b"\x00\xff",
    }
    sync(target, [{**row, **extra} for row in rows], mode="append")

    page = look(target)

    assert {c["name"]: c["type"] for c in page["columns"]} == {
        "id": "integer",
        "price": "number",
        "at": "timestamp",
        "day": "date",
        "ok": "boolean",
        "text": "string",
        "raw": "string",
    }
    assert all(column["stored_as"] for column in page["columns"])
    shown = [
        dict(zip([c["name"] for c in page["columns"]], row, strict=True)) for row in page["records"]
    ]
    first, second = shown
    assert first["id"] == str(BIG)
    assert first["price"] is not None
    assert Decimal(first["price"]) == rows[0]["price"]
    assert first["at"] == "2024-02-29T12:30:00.000000+00:00"
    assert (first["day"], second["day"]) == ("2024-02-29", "0001-01-01")
    assert (first["ok"], first["text"], first["raw"]) == ("true", extra["text"], "AP8=")
    assert (second["price"], second["at"]) == (None, None)
    assert page["next_offset"] is None
    assert page["cut"] == []
    assert json.loads(json.dumps(page)) == page


def test_the_pages_of_records_follow_each_other_in_the_order_of_the_runs(target: Target) -> None:
    for first in (0, 100, 200):
        sync(target, [{"id": n} for n in range(first, first + 100)], mode="append")
    ids, offset = [], 0
    while offset is not None:
        page = look(target, offset=offset, limit=70)
        assert page["total"] in {300, None}
        ids += [int(row[0]) for row in page["records"]]
        offset = page["next_offset"]
    assert ids == list(range(300))
    assert look(target, offset=300)["records"] == []


def test_a_long_text_is_cut_and_can_be_read_alone(target: Target) -> None:
    sync(target, [{"id": 1, "text": "x" * 1_000_000}, {"id": 2, "text": "short"}], mode="append")

    page = look(target)
    names = [column["name"] for column in page["columns"]]
    assert page["cut"] == [[0, names.index("text")]]
    assert page["records"][0][names.index("text")] == "x" * 1000

    whole = look(target, column="text", limit=1, max_characters=1_000_000)
    assert whole["records"] == [["x" * 1_000_000]]
    assert whole["cut"] == []
    assert whole["next_offset"] == 1
    with pytest.raises(ConfigurationError, match="has no column 'other'"):
        look(target, column="other")


def test_a_page_of_large_records_has_fewer_of_them(target: Target) -> None:
    sync(target, [{"id": n, "text": "x" * 100_000} for n in range(60)], mode="append")
    page = look(target, max_characters=100_000)
    assert 1 < len(page["records"]) < 60
    assert page["next_offset"] == len(page["records"])


def test_a_table_that_is_gone_is_named(target: Target) -> None:
    with pytest.raises(ConfigurationError, match="any more"):
        look(target)


def test_the_kinds_whose_records_can_be_shown_are_those_that_implement_it() -> None:
    able = {
        kind
        for kind in destinations.DESTINATIONS
        if destinations.load(kind).Destination.read_rows is not Destination.read_rows
    }
    assert able == READABLE_KINDS


@pytest.fixture
def duckdb_target(servers: Servers, tmp_path: Path) -> DuckdbTarget:
    return DuckdbTarget(servers, tmp_path)


def database_of(target: DuckdbTarget) -> Path:
    sync(target, [{"id": 1}], mode="append")
    target.close()
    (file,) = Path(target.data.url.removeprefix("file://")).rglob("*.duckdb")
    return file


@pytest.mark.parametrize(
    "view",
    [
        "CREATE VIEW flights AS SELECT * FROM read_text('{secret}')",
        "CREATE TABLE flights (id INTEGER, x VARCHAR AS (getenv('HOME')))",
        "CREATE VIEW flights AS SELECT * FROM range(1000000000000)",
    ],
    ids=["file", "environment", "endless"],
)
def test_a_view_or_function_in_a_database_file_reads_nothing_else(
    duckdb_target: DuckdbTarget, tmp_path: Path, view: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the-secret")
    file = database_of(duckdb_target)
    with duckdb.connect(file) as connection:
        connection.execute("DROP TABLE flights")
        try:
            connection.execute(view.format(secret=secret))
            connection.execute("INSERT INTO flights (id) VALUES (1)")
        except duckdb.Error:
            pass
    try:
        shown = json.dumps(look(duckdb_target))
    except EngineError as error:
        shown = error.message + str(error.evidence)
    assert "the-secret" not in shown
    assert str(Path.home()) not in shown


def test_a_database_that_a_run_writes_to_is_not_read_and_a_look_changes_nothing(
    duckdb_target: DuckdbTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = database_of(duckdb_target)
    before = file.read_bytes()
    look(duckdb_target)
    assert file.read_bytes() == before
    assert not file.with_name(file.name + ".wal").exists()
    monkeypatch.setattr(reading, "LOCK_SECONDS", 0.2)
    program = f"import duckdb; c = duckdb.connect({str(file)!r}); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(DestinationError, match="run or program has"):
            look(duckdb_target)
        writer.communicate(b"\n")
    assert look(duckdb_target)["records"] == [["1"]]


def parts_of(target: FileTarget) -> list[Path]:
    folder = Path(target.data.url.removeprefix("file://")) / target.data.prefix / target.table
    return [folder / part["key"] for part in (target.read_manifest() or {})["parts"]]


@pytest.mark.parametrize("target", ["parquet", "csv", "jsonl"], indirect=True)
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 1000, b'"' * 100_000, b"[" * 100_000, b"\xff\xfe{", b"PAR1\x00\x00PAR1"],
    ids=["empty", "nul", "quotes", "brackets", "not text", "short Parquet"],
)
def test_a_damaged_file_is_an_error_of_the_destination(
    target: FileTarget, tmp_path: Path, content: bytes
) -> None:
    sync(target, [{"id": 1}, {"id": 2}], mode="append")
    (part,) = parts_of(target)
    part.write_bytes(content)
    try:
        shown = [text for row in look(target)["records"] for text in row if text]
        error = None
    except DestinationError as raised:
        shown, error = [], raised
    assert all(text.strip('\x00\ufffd{"[') == "" for text in shown)
    assert error is None or str(tmp_path) not in error.message + str(error.evidence)


def test_json_lines_keep_nul_and_the_digits_of_numbers(servers: Servers, tmp_path: Path) -> None:
    target = JsonlTarget(servers, tmp_path)
    sync(target, [{"id": 1, "n": 1.5, "list": [1]}], mode="append")
    (part,) = parts_of(target)
    part.write_text(
        '{"id": 123456789012345678901234567890, "n": 1.10, "list": "a\\u0000b", "x": 1}\n'
    )
    assert look(target)["records"] == [["123456789012345678901234567890", "1.10", "a\x00b"]]


@pytest.mark.parametrize(
    "change", [{"rows": "1"}, {"rows": -5}, {"rows": 1e300}, {"key": 5}], ids=str
)
def test_a_manifest_with_wrong_values_is_named_without_the_code_that_reads_it(
    servers: Servers, tmp_path: Path, change: dict[str, Any]
) -> None:
    target = JsonlTarget(servers, tmp_path)
    sync(target, [{"id": 1}], mode="append")
    manifest = target.read_manifest() or {}
    manifest["parts"][0] |= change
    (file,) = tmp_path.rglob("manifest.json")
    file.write_text(json.dumps(manifest))
    with pytest.raises(DestinationError, match="was changed by another program"):
        look(target)


@pytest.mark.parametrize("key", ["../../secret", "/etc/passwd"])
def test_a_manifest_cannot_name_a_file_outside_its_folder(
    servers: Servers, tmp_path: Path, key: str
) -> None:
    target = JsonlTarget(servers, tmp_path)
    sync(target, [{"id": 1}], mode="append")
    manifest = target.read_manifest() or {}
    manifest["parts"][0]["key"] = key
    target.store.write(f"{target.table}/manifest.json", json.dumps(manifest).encode())
    with pytest.raises((DestinationError, ConfigurationError)):
        look(target)


def test_a_small_parquet_file_that_would_fill_the_memory_ends_in_its_own_process(
    servers: Servers, tmp_path: Path, supervisor: EngineSupervisor
) -> None:
    target = ParquetTarget(servers, tmp_path)
    sync(target, [{"text": "x"}] * 300, mode="append")
    (part,) = parts_of(target)
    text = "x" * (60 << 20)
    index = pa.array([0] * 300, pa.int32())
    table = pa.table({"text": pa.DictionaryArray.from_arrays(index, pa.array([text]))})
    parquet.write_table(table, part, compression="zstd", store_schema=False)
    assert part.stat().st_size < 1_000_000
    with pytest.raises(EngineError) as caught:
        supervisor.call("read_rows", payload_of(target), 30, module=MODULE)
    assert caught.type is not TimedOut
    assert (
        supervisor.call("read_rows", payload_of(target, limit=1, offset=300), 30, module=MODULE)[
            "records"
        ]
        == []
    )


NOTE = """create function {schema}.note(i bigint) returns boolean language plpgsql as
 $$ begin insert into {schema}.looks values (1); return true; end $$"""


def test_postgres_is_read_in_a_transaction_that_can_change_nothing(
    servers: Servers, tmp_path: Path
) -> None:
    target = PostgresTarget(servers, tmp_path)
    sync(target, [{"id": 1}], mode="append")
    reader = f"reader_{target.schema}"
    for statement in (
        "create table {schema}.looks (n int)",
        NOTE,
        "alter table {table} enable row level security",
        "create policy p on {table} using ({schema}.note(id))",
        f"create role {reader} login password 'pw-{reader}'",
        f"grant usage on schema {{schema}} to {reader}",
        f"grant all on all tables in schema {{schema}} to {reader}",
    ):
        target.query(statement)
    payload = payload_of(target)
    payload["config"] |= {"user": reader, "password": f"pw-{reader}"}

    with pytest.raises(ConfigurationError, match="read-only"):
        arrived.read_rows(payload)

    target.query("drop policy p on {table}")
    target.query("create policy p on {table} using (true)")
    assert arrived.read_rows(payload)["records"] == [["1"]]
    assert target.query("select * from {schema}.looks") == []
    target.query("drop table {schema}.looks, {table} cascade")
    target.close()


def test_postgres_shows_no_table_of_the_same_name_that_the_pipeline_has_not_written(
    servers: Servers, tmp_path: Path
) -> None:
    """Who changes the schema or the database of a connector would see any table of this name."""
    target, other = PostgresTarget(servers, tmp_path), PostgresTarget(servers, tmp_path)
    sync(target, [{"id": 1}], mode="append")
    payload = payload_of(target)
    payload["config"]["schema"] = other.schema
    other.query("create schema {schema}")
    other.query("create table {table} (salary int)")
    other.query("insert into {table} values (100)")
    with pytest.raises(ConfigurationError, match="no run of the pipeline has written"):
        arrived.read_rows(payload)
    sync(other, [{"salary": 200}], mode="append")
    payload["data"] = {**payload["data"], "prefix": "org/1/data/another"}
    with pytest.raises(ConfigurationError, match="no run of the pipeline has written"):
        arrived.read_rows(payload)
    assert look(target)["records"] == [["1"]]
    for each in (target, other):
        each.close()


def test_the_secrets_of_the_destination_are_not_shown(servers: Servers, tmp_path: Path) -> None:
    target = S3Target(servers, tmp_path)
    secret = target.config()["secret_access_key"]
    sync(target, [{"text": f"it is {secret}"}], mode="append")
    assert secret not in json.dumps(look(target))
    target.close()


def test_a_private_address_is_refused_by_the_egress_policy(
    servers: Servers, tmp_path: Path
) -> None:
    target = PostgresTarget(servers, tmp_path)
    sync(target, [{"id": 1}], mode="append")
    with pytest.raises(EgressError):
        look(target, allow_private_networks=False)
    target.close()


@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_a_native_type_is_shown_with_the_type_that_it_is_closest_to(
    servers: Servers, tmp_path: Path, kind: str
) -> None:
    target = TARGETS[kind](servers, tmp_path)
    sync(target, [{"id": 1}], mode="append")
    statement = "alter table {table} add column small smallint, add column price numeric(10,2)"
    if isinstance(target, PostgresTarget):
        target.query(statement)
    else:
        target.close()
        (file,) = tmp_path.rglob("*.duckdb")
        with duckdb.connect(file) as connection:
            for column in ("small smallint", "price numeric(10,2)"):
                connection.execute(f"alter table flights add column {column}")
    assert [column["type"] for column in look(target)["columns"]] == [
        "integer",
        "integer",
        "number",
    ]
    target.close()
