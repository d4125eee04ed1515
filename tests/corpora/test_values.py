"""Numbers, times and texts arrive exactly, and a value does not depend on the values around it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import orjson
import polars as pl
import psycopg
import pytest
from bizon.connectors.sources.gbif.src import source as gbif

from apps.engine import connect
from apps.engine.contract import (
    CodeSpec,
    DestinationSpec,
    Failed,
    Outcome,
    StorageRoot,
    Succeeded,
)
from apps.engine.destinations.base import Batch
from apps.engine.destinations.csv.destination import CsvFormat
from apps.engine.destinations.duckdb import types as duckdb_types
from apps.engine.destinations.jsonl.destination import JsonlFormat
from apps.engine.destinations.postgres import types as postgres_types
from apps.engine.failures import ContractError, FailureClass
from apps.engine.frames.columns import Column, ColumnType
from apps.engine.frames.decoding import StreamSchema
from apps.engine.frames.json_numbers import JsonNumber, parse_json
from apps.engine.frames.texts import exact_text
from apps.engine.sync import state
from apps.engine.sync.build import build_destination
from local.database.postgres import EmbeddedPostgres
from tests.engine.conftest import Rehearsal
from tests.engine.runs.test_real_destinations import postgres_settings
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api
from tests.engine.sources.reading import make_source

MakeRehearsal = Callable[..., Rehearsal]
PAGE_SECONDS = 0.08  # longer than the first interval between batches, so each page becomes a batch
PAGE_SIZE = 2


class Records:
    """An API with pages of two records, which are written as JSON text. They can be others in later reads."""

    def __init__(self, records: Sequence[str]) -> None:
        self.reads = [records]
        self.read = -1

    def respond(self, request: ReceivedRequest) -> Reply:
        offset = int(request.params["offset"])
        self.read += offset == 0
        records = self.reads[min(self.read, len(self.reads) - 1)]
        time.sleep(PAGE_SECONDS)
        return Reply(f"[{','.join(records[offset : offset + PAGE_SIZE])}]".encode())


@pytest.fixture
def make_pipeline(
    make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres
) -> Iterator[Callable[..., tuple[Rehearsal, Records]]]:
    """Return a function that creates a pipeline from an API with the records."""
    with ExitStack() as servers:

        def build(
            records: Sequence[str], kind: str = "jsonl", **modes: Any
        ) -> tuple[Rehearsal, Records]:
            api_records = Records(records)
            server: AbstractContextManager[Api] = serve_api(api_records.respond)
            url = servers.enter_context(server).url
            config = {
                "base_url": url,
                "pagination": {"type": "offset", "page_size": PAGE_SIZE},
                "retries": 0,
                "streams": [{"name": "items", "path": "/items"}],
            }
            settings = postgres_settings(engine_postgres) if kind == "postgres" else {}
            run = make_rehearsal(
                config,
                settings,
                source_kind="rest",
                destination_kind=kind,
                stream="items",
                **modes,
            )
            table = f"values_{run.spec.run_id[:8]}"
            destination = replace(run.spec.destination, table=table)
            run.spec = replace(run.spec, destination=destination, allow_private_networks=True)
            return run, api_records

        yield build


def read_texts(run: Rehearsal, server: EmbeddedPostgres) -> list[dict[str, Any]]:
    """Return the rows of the destination, with numbers as the texts in which it shows them."""
    kind, table = run.spec.destination.kind, run.spec.destination.table
    if kind == "postgres":
        with psycopg.connect(server.url(), row_factory=psycopg.rows.dict_row) as connection:
            rows = connection.execute(
                f"select * from arrivals.{table} order by id".encode()
            ).fetchall()
    elif kind == "duckdb":
        with duckdb.connect(next(run.folder.rglob("*.duckdb")), read_only=True) as database:
            result = database.execute(f"select * from {table} order by id")
            names = [column[0] for column in result.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    else:
        paths = [run.folder / output.key for output in run.outputs]
        read: dict[str, Callable[[Any], pl.DataFrame]] = {
            "parquet": pl.read_parquet,
            "csv": lambda path: pl.read_csv(path, infer_schema=False),
            "jsonl": lambda path: pl.DataFrame(
                [orjson.loads(line) for line in path.read_bytes().splitlines()]
            ),
        }
        rows = pl.concat([read[kind](path) for path in paths]).to_dicts()
    return [{name: str(value) for name, value in row.items()} for row in rows]


def succeeded(outcome: Outcome) -> Succeeded:
    assert isinstance(outcome, Succeeded), outcome
    return outcome


def contract_failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.CONTRACT, False), outcome
    return outcome


# What arrives of numbers and of a column that turns to text in a later batch.

FIELDS = ("id", "late", "float", "wide", "mixed", "code", "nested")
VALUES = [
    ("1", "1.50", "1.5", "9007199254740993", "9007199254740993", "7e99999", '{"a":[1.50,1e5]}'),
    ("2", "2", "2", "1", "1.5", "1e5", '{"a":1234567890123456.78}'),
    ("3", "1e5", "0.1", "2", "1234567890123456.78", "0.10", '{"a":123456789012345678901234567890}'),
    ("4", "1.0", "3", "3", "18446744073709551616", "12", "{}"),
    ("5", '"n/a"', "4", "4", "1", "1", "[1]"),
]


def expected_texts() -> list[dict[str, str]]:
    rows = [dict(zip(FIELDS, values, strict=True)) for values in VALUES]
    for row in rows:
        row["late"] = row["late"].strip('"')
        row["float"] = str(float(row["float"]))
    return rows


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "duckdb", "postgres"])
def test_every_destination_receives_each_value_as_it_stood(
    make_pipeline: Callable[..., tuple[Rehearsal, Records]],
    engine_postgres: EmbeddedPostgres,
    kind: str,
) -> None:
    records = [
        "{" + ",".join(f'"{name}":{value}' for name, value in zip(FIELDS, row, strict=True)) + "}"
        for row in VALUES
    ]
    run, api = make_pipeline(records, kind)
    outcome = succeeded(run.attempt())
    assert (outcome.read, outcome.written, outcome.rejected) == (len(VALUES), len(VALUES), 0)
    assert read_texts(run, engine_postgres) == expected_texts()
    assert api.read == 1, "the source is read twice, because a column has turned to text"


def test_a_transform_passes_numbers_on_as_they_stood(
    make_pipeline: Callable[..., tuple[Rehearsal, Records]], engine_postgres: EmbeddedPostgres
) -> None:
    numbers = ["1234567890123456.78", "123456789012345678901234567890", "1.50"]
    records = [f'{{"id":{n},"v":{text},"n":{{"v":{text}}}}}' for n, text in enumerate(numbers)]
    run, _ = make_pipeline([*records, '{"id":9,"v":"x","n":{}}'])
    code = "def transform(record):\n    assert record['v'] != 0\n    return record\n"
    run.spec = replace(run.spec, transform=CodeSpec(code))
    succeeded(run.attempt())
    rows = read_texts(run, engine_postgres)
    assert [row["v"] for row in rows] == [*numbers, "x"]
    assert [row["n"] for row in rows[:3]] == [f'{{"v":{text}}}' for text in numbers]


CUSTOM_SOURCES = {
    "rest": """
from drover import Field, RestSource, Stream

class Numbers(RestSource):
    base_url = "{url}"
    streams = [Stream("numbers", path="/n")]

    class Config:
        url: str = Field("URL")
""",
    "requests": """
import requests
from drover import Field, Page, Source, Stream

class Numbers(Source):
    hosts = ["{url}"]
    streams = [Stream("numbers")]

    class Config:
        url: str = Field("URL")

    def get(self, pagination=None):
        records = requests.get(self.config.url).json()
        assert records[0]["v"] + 1 > 0
        return Page(records)
""",
}


@pytest.mark.parametrize("kind", CUSTOM_SOURCES)
def test_a_custom_source_passes_numbers_on_as_they_stood(tmp_path: Path, kind: str) -> None:
    numbers = ["1234567890123456.78", "123456789012345678901234567890", "7e99999", "1.50"]
    body = "[" + ",".join(f'{{"v":{text},"n":{{"v":[{text}]}}}}' for text in numbers) + "]"
    text = CUSTOM_SOURCES[kind]
    with serve_api(lambda request: Reply(body.encode())) as api:
        payload: dict[str, Any] = {
            "role": "source",
            "kind": "custom-1",
            "config": {"url": api.url},
            "stream": "numbers",
            "code": {"text": text, "hosts": ["{url}"]},
            "sandbox": {"home": str(tmp_path)},
            "allow_private_networks": True,
        }
        with connect.open_source(payload) as source:
            frame = connect.read_first_records(source, 10).frame
    assert frame["v"].to_list() == numbers
    assert frame["n"].to_list() == [f'{{"v":[{text}]}}' for text in numbers]


def test_a_source_of_bizon_passes_numbers_on_as_they_stood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = b'{"results":[{"v":1234567890123456.78,"n":[1.50]}],"count":1,"endOfRecords":true}'
    with serve_api(lambda request: Reply(body)) as api:
        monkeypatch.setattr(gbif, "BASE_URL", api.url)
        page: Any = make_source("gbif", {}, "occurrence").get()
    frame = StreamSchema().decode(page.rows).frame
    assert frame.to_dicts() == [{"v": Decimal("1234567890123456.78"), "n": "[1.50]"}]


# Types are pinned with the stream.


def test_the_types_of_a_stream_are_kept_in_later_runs(
    make_pipeline: Callable[..., tuple[Rehearsal, Records]], engine_postgres: EmbeddedPostgres
) -> None:
    run, api = make_pipeline(
        ['{"id":1,"v":1.50,"n":1}', '{"id":2,"v":"n/a","n":2}'], write_mode="append"
    )
    succeeded(run.attempt())
    run.start_new_run()
    api.reads.append(['{"id":3,"v":2.50,"n":3.5}', '{"id":4,"v":1e5,"n":null,"new":true}'])
    succeeded(run.attempt())
    rows = read_texts(run, engine_postgres)
    assert [row["v"] for row in rows] == ["2.50", "1e5"]
    assert [row["n"] for row in rows] == ["3.5", "None"], "an integer may become a number"


@pytest.mark.parametrize("write_mode", ["replace", "append"])
def test_a_record_with_a_value_of_another_type_is_rejected_until_the_stream_is_reset(
    make_pipeline: Callable[..., tuple[Rehearsal, Records]],
    engine_postgres: EmbeddedPostgres,
    write_mode: str,
) -> None:
    run, api = make_pipeline(['{"id":1,"v":1}', '{"id":2,"v":2}'], write_mode=write_mode)
    succeeded(run.attempt())
    run.start_new_run()
    api.reads.append(['{"id":3,"v":3}', '{"id":4,"v":"four"}'])
    failed = contract_failure(run.attempt())
    assert "1 of 2 records were rejected" in failed.message
    reason = "the field 'v' has a value that does not fit, and its column is pinned as integer: reset the stream"
    assert reason in failed.message
    state.reset(run.spec.state_dsn, run.spec.stream_key)
    run.start_new_run()
    succeeded(run.attempt())
    assert [row["v"] for row in read_texts(run, engine_postgres)] == ["3", "four"]


def test_a_source_whose_types_change_while_it_is_read_twice_fails(
    make_pipeline: Callable[..., tuple[Rehearsal, Records]],
) -> None:
    first = ['{"id":1,"a":1.5,"b":1.5}', '{"id":2,"a":1,"b":1}', '{"id":3,"a":"x","b":1}']
    second = ['{"id":1,"a":1.5,"b":1.5}', '{"id":2,"a":1,"b":1}', '{"id":3,"a":"x","b":"y"}']
    run, api = make_pipeline(first)
    api.reads.append(second)
    assert "changed their types in between: 'b'" in contract_failure(run.attempt()).message


def test_a_retry_after_a_kill_during_the_second_read_continues_it(
    make_pipeline: Callable[..., tuple[Rehearsal, Records]], engine_postgres: EmbeddedPostgres
) -> None:
    records = [f'{{"id":{n},"v":{n}.50}}' for n in range(1, 6)]
    run, _ = make_pipeline([*records, '{"id":6,"v":"six"}'])
    killed = run.attempt_with_kill("checkpoint done 3")
    assert isinstance(killed, Failed)
    succeeded(run.attempt())
    assert [row["v"] for row in read_texts(run, engine_postgres)] == [
        *[f"{n}.50" for n in range(1, 6)],
        "six",
    ]


# CSV files: a column that was text in an earlier run keeps the spelling of later files.

EARLIER_FILE = "id,price,flag,code,at\n1,1.50,TRUE,007,2024-01-02 03:04:05\n2,n/a,x,x,x\n"
LATER_FILE = (
    "id,price,flag,code,at\n3,39,true,7,2024-01-02 03:04:05\n4,39.02,false,8,2024-01-02 03:04:06\n"
)


@pytest.mark.parametrize("kind", ["csv", "postgres"])
def test_a_text_column_keeps_the_spelling_of_files_across_runs(
    make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres, kind: str
) -> None:
    settings = postgres_settings(engine_postgres) if kind == "postgres" else {}
    run = make_rehearsal(
        {"path": "data.csv"}, settings, source_kind="files", destination_kind=kind, stream="data"
    )
    destination = replace(run.spec.destination, table=f"files_{run.spec.run_id[:8]}")
    run.spec = replace(run.spec, destination=destination, allow_private_networks=True)
    folder = run.folder / run.spec.files.prefix
    folder.mkdir(parents=True)
    for text in (EARLIER_FILE, LATER_FILE):
        (folder / "data.csv").write_text(text)
        succeeded(run.attempt())
        names, *lines = [line.split(",") for line in text.splitlines()]
        expected = [dict(zip(names, line, strict=True)) for line in lines]
        assert read_texts(run, engine_postgres) == expected
        run.start_new_run()


def test_numbers_of_older_csv_files_are_spelled_as_those_of_newer_files(
    make_pipeline: Callable[..., tuple[Rehearsal, Records]], engine_postgres: EmbeddedPostgres
) -> None:
    run, api = make_pipeline(['{"id":1,"v":1}'], "csv", write_mode="append")
    succeeded(run.attempt())
    run.start_new_run()
    api.reads.append(['{"id":2,"v":1.5}', '{"id":3,"v":1}'])
    succeeded(run.attempt())
    files = sorted((run.folder / run.spec.data.prefix).rglob("*.csv"))
    texts = [pl.read_csv(file, infer_schema=False)["v"].to_list() for file in files]
    assert sorted(texts) == [["1.0"], ["1.5", "1.0"]]


def test_a_file_of_json_lines_spells_times_in_one_way() -> None:
    moment = datetime.fromisoformat("2024-01-02T03:04:05")
    values = {"t": moment, "z": moment.replace(tzinfo=UTC), "c": clock_time(3), "f": 1.0}
    lines = []
    for other in (1.0, float("nan")):
        sink = io.BytesIO()
        frame = StreamSchema().decode([{**values, "other": 1.0}, {**values, "other": other}]).frame
        JsonlFormat().write(frame, sink, {}, is_rewrite=False)
        lines.append(sink.getvalue().splitlines()[0])
    assert lines[0] == lines[1]
    assert orjson.loads(lines[0])["t"] == "2024-01-02T03:04:05.000000"


MOMENT = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
# A column of a table that a person has created, a value that it stores exactly, and one that it would change.
CHANGING_COLUMNS: list[tuple[str, Any, Any]] = [
    ("numeric(10,2)", Decimal("1.50"), Decimal("1.505")),
    ("numeric(30,20)", 0.1234567890123456, 1e-25),
    ("timestamp(0)", "2024-01-02 03:04:05", "2024-01-02 03:04:05.6"),
    ("timestamp(3)", "2016-12-31 23:59:59", "2016-12-31 23:59:60"),
    ("name", "x" * 63, "x" * 64),
    ('"char"', "a", "ab"),
    ("money", Decimal("1.23"), Decimal("1.239")),
    ("money", "$1.23", "1.239"),
    ("money", "$1,234.50", "$1.555"),
    ("money", "-$5", "$0.001"),
    ("timetz", "10:00+02", "10:00"),
    ("timetz", "10:00:00.5Z", clock_time(10)),
    ("timetz(0)", "10:00+02", "10:00:00.5+02"),
    ("timetz", "10:00+02", "10:00:00.1234567+02"),
    ("timestamp[]", "{2024-01-02 10:00}", "{2024-01-02 10:00+02}"),
    ("timestamptz[]", "{2024-01-02 10:00+02,infinity}", "{2024-01-02 10:00}"),
    ("tsrange", "[2024-01-02 10:00,2024-01-03)", "[2024-01-02 10:00+02,)"),
    ("tstzrange", "[2024-01-02 10:00Z,)", "[2024-01-02 10:00,)"),
    ("tstzmultirange", "{[2024-01-02 10:00Z,infinity)}", "{[2024-01-02 10:00,)}"),
    ("timestamptz[]", "{2024-01-02 10:00:00.123456Z}", "{2024-01-02 10:00:00.1234567Z}"),
    ("time[]", "{10:00}", "{10:00+02}"),
    ("real[]", "{0.5,NULL,1e-7}", "{0.1234567891}"),
    ("double precision[]", "{0.1,-1.50,NaN}", "{1234567890123456.78}"),
    ("interval[]", "{1 day,PT1.5S}", "{1.1234567 s}"),
    ("interval", "PT1.5S", "1.1234567 s"),
    ("interval", "1 day 02:00:00", "1.5 s 0.0000001 s"),
    ("point", "(0.5,1)", "(1234567890123456.78,1)"),
    ("bit(3)", "101", "10"),
    ("bit varying(3)", "101", "1011"),
    ("numeric(5,1)[]", "{1.2}", "{1.26}"),
    ("daterange", "[2024-01-01,2024-01-02)", "[2024-01-01 10:00,2024-01-02 10:00)"),
    ("domain numeric(10,2)", Decimal("1.5"), Decimal("1.505")),
    ("domain numeric(10,2)", "1.5", "1.505"),
    ("domain integer", 7, 1.6),
    ("domain integer", "7", "1.6"),
    ("domain bigint", 2**62, Decimal("1.5")),
    ("domain real", 0.5, 16777217),
    ("domain double precision", 2**53, 2**53 + 1),
    ("domain double precision", Decimal("1.5"), Decimal("1234567890123456.78")),
    ("domain timestamptz(0)", MOMENT, MOMENT + timedelta(milliseconds=600)),
    ("domain date", date(2024, 1, 2), MOMENT.replace(tzinfo=None)),
    ("domain date", "2024-01-02", "2024-01-02 10:00"),
    ("domain timestamp", date(2024, 1, 2), MOMENT),
    ("domain timestamp", MOMENT.replace(tzinfo=None), "2024-01-02 03:04:05+02"),
    ("domain time", clock_time(10), "10:00:00.1234567"),
    ("domain varchar(3)", "abc", "abc "),
    ("domain name", "x", "x" * 64),
]


@pytest.mark.parametrize(("column", "fits", "changes"), CHANGING_COLUMNS)
def test_a_column_that_would_change_a_value_is_refused(
    engine_postgres: EmbeddedPostgres, tmp_path: Path, column: str, fits: Any, changes: Any
) -> None:
    table = f"changing_{uuid4().hex[:8]}"
    with psycopg.connect(engine_postgres.url(), autocommit=True) as connection:
        connection.execute("create schema if not exists arrivals")
        if column.startswith("domain "):
            base, column = column.removeprefix("domain "), f"arrivals.d_{table}"
            connection.execute(f"create domain {column} as {base}".encode())
        connection.execute(f"create table arrivals.{table} (v {column})".encode())
        publish_to_postgres(engine_postgres, tmp_path, table, fits)
        stored = connection.execute(f"select v::text from arrivals.{table}".encode()).fetchall()
        with pytest.raises(ContractError):
            publish_to_postgres(engine_postgres, tmp_path, table, changes)
        rows = connection.execute(f"select v::text from arrivals.{table}".encode()).fetchall()
    assert rows == stored != []
    if isinstance(fits, float):
        assert float(stored[0][0]) == fits


@pytest.mark.parametrize("column", ["varchar(3)", "char(3)"])
@pytest.mark.parametrize("value", ["abcd", "abc  ", 1234, 1.25])
def test_a_text_that_is_too_long_is_refused_with_the_name_of_the_column(
    engine_postgres: EmbeddedPostgres, tmp_path: Path, column: str, value: Any
) -> None:
    table = f"short_{uuid4().hex[:8]}"
    with psycopg.connect(engine_postgres.url(), autocommit=True) as connection:
        connection.execute("create schema if not exists arrivals")
        connection.execute(f"create table arrivals.{table} (v {column})".encode())
        publish_to_postgres(engine_postgres, tmp_path, table, "abc")
        with pytest.raises(ContractError, match=r"The column 'v' of .* has the type character"):
            publish_to_postgres(engine_postgres, tmp_path, table, value)
        rows = connection.execute(f"select * from arrivals.{table}".encode()).fetchall()
    assert rows == [("abc",)]


def publish_to_postgres(server: EmbeddedPostgres, folder: Path, table: str, value: Any) -> None:
    destination = build_destination(
        DestinationSpec("postgres", postgres_settings(server), table, "append"),
        job_id=uuid4().hex,
        data=StorageRoot(f"file://{folder}", "org/x/pipeline/y"),
        allow_private_networks=True,
    )
    batch = Batch(uuid4().hex, 0, 0, 1)
    destination.open([])
    destination.stage(StreamSchema().decode([{"v": value}]).frame, batch)
    try:
        destination.publish([batch])
    finally:
        destination.close()


TEXTS = ["1.50", "1e5", "-0", "7", "true", '"x"', "[1.50]"]


@pytest.mark.parametrize("kind", ["postgres", "duckdb", "parquet", "csv", "jsonl"])
def test_a_column_of_text_that_exists_receives_values_as_they_stood(
    kind: str,
    make_pipeline: Callable[..., tuple[Rehearsal, Records]],
    engine_postgres: EmbeddedPostgres,
) -> None:
    run, records = make_pipeline(['{"id":0,"v":"x","code":"y"}'], kind, write_mode="append")
    succeeded(run.attempt())
    records.reads = [[f'{{"id":{n},"v":{text}}}' for n, text in enumerate(TEXTS, 1)]]
    records.read = -1
    run.start_new_run()
    run.spec = replace(run.spec, pipeline_id=str(uuid4()))  # a pipeline without pinned types
    succeeded(run.attempt())
    rows = read_texts(run, engine_postgres)
    values = [row["v"] for row in rows[-len(TEXTS) :]]  # files of the first run are other outputs
    assert values == [text.strip('"') for text in TEXTS]


@pytest.mark.parametrize("text_type", ["text", "varchar(40)", "character varying"])
def test_a_table_of_others_receives_the_texts_of_files(
    text_type: str, make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres
) -> None:
    settings = postgres_settings(engine_postgres)
    run = make_rehearsal(
        {"path": "n.csv"},
        settings,
        source_kind="files",
        destination_kind="postgres",
        stream="n",
        write_mode="append",
    )
    table = f"others_{run.spec.run_id[:8]}"
    run.spec = replace(
        run.spec,
        destination=replace(run.spec.destination, table=table),
        allow_private_networks=True,
    )
    folder = run.folder / "org/x/files"
    folder.mkdir(parents=True)
    (folder / "n.csv").write_text(
        "at,price,n\n2024-01-02 03:04:05,1.5,1\n2024-01-02 03:04:06,2.25,2\n"
    )
    with psycopg.connect(engine_postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS arrivals")
        create = f"CREATE TABLE arrivals.{table} (at {text_type}, price {text_type}, n int)"
        connection.execute(create.encode())
        succeeded(run.attempt())
        rows = connection.execute(f"SELECT * FROM arrivals.{table} ORDER BY n".encode()).fetchall()
    assert rows == [("2024-01-02 03:04:05", "1.5", 1), ("2024-01-02 03:04:06", "2.25", 2)]


# The tables of docs/reference/what-arrives.md.

DOCUMENT = Path(__file__).parents[2] / "docs/reference/what-arrives.md"


def documented_rows(heading: str, table: int = 0) -> list[list[str]]:
    """Return the cells of a table below the heading, without the heads of the columns."""
    section = DOCUMENT.read_text().partition(f"### {heading}\n")[2].partition("\n## ")[0]
    section = section.partition("\n### ")[0]
    tables = [block for block in section.split("\n\n") if block.lstrip().startswith("|")]
    lines = tables[table].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def decode_json(*texts: str) -> tuple[Column, list[Any]]:
    schema = StreamSchema()
    frame = schema.decode([{"v": parse_json(text.encode())} for text in texts]).frame
    return schema.columns["v"], frame["v"].to_list()


TYPED_VALUES: dict[ColumnType, Any] = {
    ColumnType.BOOLEAN: True,
    ColumnType.INTEGER: 12,
    ColumnType.NUMBER: 1.0,
    ColumnType.DECIMAL: Decimal("1.50"),
    ColumnType.STRING: "text",
    ColumnType.JSON: [JsonNumber("1.50")],
    ColumnType.DATE: date(2024, 2, 29),
    ColumnType.TIMESTAMP: datetime.fromisoformat("2024-02-29T10:00"),
    ColumnType.INSTANT: datetime.fromisoformat("2024-02-29T12:00+02:00"),
    ColumnType.TIME: clock_time(10),
    ColumnType.BINARY: b"\x00\xff",
}


def test_the_documented_types_are_those_of_the_destinations() -> None:
    rows = []
    for kind, value in TYPED_VALUES.items():
        schema = StreamSchema()
        frame = schema.decode([{"v": value}]).frame
        column = schema.columns["v"]
        assert column.type is kind
        csv, jsonl = io.BytesIO(), io.BytesIO()
        CsvFormat(",", escape_formulas=False).write(
            frame.with_columns(w=1), csv, {}, is_rewrite=False
        )
        JsonlFormat().write(frame, jsonl, {}, is_rewrite=False)
        csv_cell = csv.getvalue().decode().splitlines()[1].removesuffix(",1")
        json_cell = jsonl.getvalue().decode().strip().removeprefix('{"v":').removesuffix("}")
        types = [postgres_types.SQL_TYPES[kind], duckdb_types.sql_type(column)]
        rows.append([kind.value, *types, f"`{csv_cell}`", json_cell])
    assert rows == documented_rows("Types of columns")


def test_numbers_of_json_arrive_as_documented() -> None:
    for number, kind, text in documented_rows("Numbers of JSON"):
        column, _ = decode_json(number.strip("`"))
        assert column.type.value == kind, number
        assert exact_text(parse_json(number.strip("`").encode())) == text.strip("`")
    for values, kind in documented_rows("Numbers of JSON", 1):
        texts = [text.strip("`") for text in values.split("`, `")]
        assert decode_json(*texts)[0].type.value == kind, values


def test_values_have_the_documented_texts() -> None:
    zone = timezone(timedelta(hours=2))
    values = [
        *(1.0, 1e16, 0.00001, 0.0000015, float("nan"), float("inf"), True),
        datetime.fromisoformat("2024-02-29T10:00"),
        datetime.fromisoformat("2024-02-29T12:00+02:00"),
        *(clock_time(10), clock_time(10, 0, 0, 500_000), clock_time(10, tzinfo=zone)),
        *(-timedelta(days=1, hours=2), b"\x00\xff"),
    ]
    texts = [text.strip("`") for _, text in documented_rows("Texts of other values")]
    assert [exact_text(value) for value in values] == texts


def test_pinned_types_change_only_as_documented() -> None:
    columns = [Column(kind) for kind in TYPED_VALUES]
    accepted = []
    for pinned in columns:
        results = [
            (o.type.value, r.type.value) for o in columns if o != pinned and (r := pinned.accept(o))
        ]
        if len(results) == len(columns) - 1:
            results = [("every type", results[0][1])]
        accepted += [[pinned.type.value, other, result] for other, result in results]
    assert sorted(accepted) == sorted(documented_rows("Pinned types"))
