"""PostgreSQL's types are kept in PostgreSQL, and Parquet and DuckDB get their nearest type."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psycopg
import pytest

from apps.engine.contract import CodeSpec, Failed, PublishRules, Succeeded, WriteMode
from apps.engine.sync import state
from local.database.postgres import EmbeddedPostgres
from tests.engine.conftest import Rehearsal
from tests.engine.runs.test_real_destinations import postgres_settings
from tests.engine.sources.conftest import SourceDatabase

ROOT = Path(__file__).parents[2]

# The type of a column, its values, and the type in the destination if it is another one.
COLUMNS: list[tuple[str, list[str], str]] = [
    ("smallint", ["1", "-32768"], ""),
    ("integer", ["1", "2147483647"], ""),
    ("bigint", ["9223372036854775807"], ""),
    ("oid", ["4294967295"], ""),
    ("real", ["0.1", "NaN", "-Infinity", "-0", "3.4028235e38"], ""),
    ("double precision", ["0.1", "NaN", "Infinity", "-0", "5e-324", "1"], ""),
    ("numeric", ["1.10", "NaN", "Infinity", "1e100", "123456789012345678901234567890.123456789"], ""),
    ("numeric(10,2)", ["1.5", "NaN"], ""),
    ("numeric(50,20)", ["123456789012345678901234567890.12345678901234567890"], ""),
    ("numeric(5,-2)", ["12345"], ""),
    ("boolean", ["t", "f"], ""),
    ("text", ["", "NULL", "\\N", "\\.", 'q"', "é😀", " pad ", "a\r\nb", "\t"], ""),
    ("character varying", ["", "x "], ""),
    ("character varying(5)", ["", "x ", "éé"], ""),
    ("character(5)", ["x", ""], ""),
    ('"char"', ["x", ""], ""),
    ("name", ["nm"], ""),
    ("bytea", ["\\x00ff", "\\x"], ""),
    ("bit(3)", ["101"], ""),
    ("bit varying", ["", "1"], ""),
    ("bit varying(4)", ["1010"], ""),
    ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], ""),
    ("date", ["2024-02-29", "infinity", "0044-03-15 BC", "20000-01-01"], ""),
    ("time without time zone", ["10:00", "24:00", "10:00:00.000001"], ""),
    ("time(0) without time zone", ["10:00"], ""),
    ("time with time zone", ["10:00+02", "00:00:00-12", "10:00:00.5+05:30"], ""),
    ("timestamp without time zone", ["2024-01-01 10:00", "-infinity", "0044-03-15 BC"], ""),
    ("timestamp(3) with time zone", ["2024-01-01 10:00:00.123456+02"], ""),
    ("timestamp with time zone", ["2024-01-01 10:00+02", "infinity", "20000-01-01Z", "0044-03-15 01:02Z BC"], ""),
    ("interval", ["1 year 2 mons 3 days 04:05:06.789", "-1 day +02:00", "-00:00:00.5", "0"], ""),
    ("interval day to second(3)", ["1 day 00:00:01.2345"], ""),
    ("json", ['{"a":1, "a":2, "n":1.10}', "null", '"\\ud800"'], ""),
    ("jsonb", ['{"n": 1.10, "big": 123456789012345678901234567890}', "null", "[1, 2]"], ""),
    ("inet", ["10.0.0.1", "10.0.0.1/24", "::1"], ""),
    ("cidr", ["10.0.0.0/24"], ""),
    ("macaddr", ["08:00:2b:01:02:03"], ""),
    ("point", ["(0.1,1e-300)"], ""),
    ("tsvector", ["'a':1 'b c':2A"], ""),
    ("int4range", ["[1,5]", "empty", "(,)"], ""),
    ("tstzrange", ["[2024-01-01 10:00+02,infinity)"], ""),
    ("int4multirange", ["{[1,3),[5,7)}"], ""),
    ("integer[]", ["{1,NULL,3}", "{}", "{{1,2},{3,4}}", "[0:1]={1,2}"], ""),
    ("text[]", ['{"a,b",NULL,"NULL","q\\"x","\\\\",""}', '{{a},{b}}'], ""),
    ("character varying(5)[]", ["{a,b}"], ""),
    ("numeric(10,2)[]", ["{1.10,NaN}"], ""),
    ("timestamp with time zone[]", ["{2024-01-01 10:00+02,infinity}"], ""),
    ("bytea[]", ['{"\\\\x00ff"}'], ""),
    ("interval[]", ['{"1 day 2 hours"}'], ""),
    ("jsonb[]", ['{"{\\"a\\": 1}",NULL}'], ""),
    ("a_mood", ["ok", "it's sad"], "text"),
    ("a_mood[]", ['{ok,"it\'s sad",NULL}'], "text[]"),
    ("a_positive", ["1"], "integer"),
    ("a_short", ["abc"], "character varying(5)"),
    ("a_list", ["{1,2}"], "integer[]"),
    ("a_pair", ['(1,"a,b")'], "text"),
    ("money", ["$1,234.50"], "text"),
]  # fmt: skip
TYPES = """
DROP TYPE IF EXISTS a_mood, a_pair CASCADE; DROP DOMAIN IF EXISTS a_positive, a_short, a_list CASCADE;
CREATE TYPE a_mood AS ENUM ('ok', 'it''s sad'); CREATE TYPE a_pair AS (x int, y text);
CREATE DOMAIN a_positive AS integer CHECK (value > 0); CREATE DOMAIN a_short AS varchar(5);
CREATE DOMAIN a_list AS integer[];
"""
SELECT_TYPES = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


@dataclass
class Copy:
    """The table `subject` of the source, a pipeline that copies it, and the table `copy` of the destination."""

    source: SourceDatabase
    pipeline: Rehearsal
    destination: psycopg.Connection[tuple[Any, ...]]
    target: str

    def run(self, **changes: Any) -> None:
        """Make a new run with a changed specification of the destination. Fails if the run fails."""
        self.pipeline.start_new_run()
        spec = self.pipeline.spec
        self.pipeline.spec = replace(spec, destination=replace(spec.destination, **changes))
        outcome = self.pipeline.attempt()
        assert isinstance(outcome, Succeeded), outcome

    def run_incrementally(self, **changes: Any) -> None:
        source = replace(self.pipeline.spec.source, sync_mode="incremental", cursor_field="id")
        self.pipeline.spec = replace(self.pipeline.spec, source=source)
        self.run(write_mode="append", **changes)

    @property
    def types(self) -> dict[str, str]:
        return types_of(self.destination, self.target)

    def values(self) -> list[tuple[Any, ...]]:
        return texts_of(self.destination, self.target)

    def source_values(self) -> list[tuple[Any, ...]]:
        return texts_of(self.source.admin, "subject")


def types_of(connection: psycopg.Connection[tuple[Any, ...]], table: str) -> dict[str, str]:
    return dict(connection.execute(SELECT_TYPES, (table,)).fetchall())


def texts_of(connection: psycopg.Connection[tuple[Any, ...]], table: str) -> list[tuple[Any, ...]]:
    """Return all values as PostgreSQL writes them."""
    columns = ", ".join(f'"{name}"::text' for name in types_of(connection, table))
    return connection.execute(f"SELECT {columns} FROM {table} ORDER BY id".encode()).fetchall()


@pytest.fixture
def copy(
    database: SourceDatabase,
    make_rehearsal: Callable[..., Rehearsal],
    engine_postgres: EmbeddedPostgres,
) -> Iterator[Copy]:
    database.execute("DROP TABLE IF EXISTS subject CASCADE", TYPES)
    pipeline = make_rehearsal(
        dict(database.config),
        postgres_settings(engine_postgres),
        source_kind="postgres",
        destination_kind="postgres",
        stream="subject",
    )
    table = f"copy_{uuid4().hex[:8]}"
    pipeline.spec = replace(
        pipeline.spec,
        allow_private_networks=True,
        destination=replace(pipeline.spec.destination, table=table),
    )
    with psycopg.connect(engine_postgres.url(), autocommit=True) as destination:
        yield Copy(database, pipeline, destination, f"arrivals.{table}")


def create_subject(database: SourceDatabase, columns: list[tuple[str, list[str], str]]) -> None:
    """Create the table with a column for each type, and a row for each value."""
    definitions = ", ".join(f"c{number} {column[0]}" for number, column in enumerate(columns))
    database.execute(f"CREATE TABLE subject (id integer PRIMARY KEY, {definitions})")
    for row in range(max(len(values) for _, values, _ in columns)):
        cells = [
            "'{}'".format(values[row].replace("'", "''")) if row < len(values) else "NULL"
            for _, values, _ in columns
        ]
        database.execute(f"INSERT INTO subject VALUES ({row}, {', '.join(cells)})")


def test_every_type_and_value_arrives(copy: Copy) -> None:
    create_subject(copy.source, COLUMNS)
    copy.run()
    types = {f"c{number}": own or name for number, (name, _, own) in enumerate(COLUMNS)}
    assert copy.types == {"id": "integer", **types}
    assert differing_columns(copy) == {"a_pair": ['{"x":1,"y":"a,b"}']}


def differing_columns(copy: Copy) -> dict[str, list[str]]:
    """Return the columns whose texts differ from the source's, with the texts that arrived."""
    arrived, expected = zip(*copy.values(), strict=True), zip(*copy.source_values(), strict=True)
    names = ["integer", *(name for name, _, _ in COLUMNS)]
    return {
        name: [text for text in own if text is not None]
        for name, own, others in zip(names, arrived, expected, strict=True)
        if own != others
    }


@pytest.fixture
def shadowed_types(copy: Copy) -> Iterator[Copy]:
    """Let the owner of the source's database decide what PostgreSQL says of its types."""
    user = copy.source.config["user"]
    copy.source.execute(
        "CREATE SCHEMA shadow",
        "CREATE FUNCTION shadow.format_type(oid, integer) RETURNS text LANGUAGE sql AS"
        " $$ SELECT 'text default current_user' $$",
        f"GRANT USAGE ON SCHEMA shadow TO {user}",
        f"ALTER ROLE {user} SET search_path = shadow, pg_catalog",
    )
    yield copy
    copy.source.execute(f"ALTER ROLE {user} RESET search_path", "DROP SCHEMA shadow CASCADE")


def test_the_name_of_a_type_cannot_add_clauses_to_the_statements_of_the_destination(
    shadowed_types: Copy,
) -> None:
    create_subject(shadowed_types.source, [("text", [], "")])
    shadowed_types.source.execute("INSERT INTO subject VALUES (1, NULL)")
    shadowed_types.pipeline.start_new_run()
    outcome = shadowed_types.pipeline.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.message == "The source declares a type that PostgreSQL does not have"
    query = "SELECT to_regclass(%s)"
    assert shadowed_types.destination.execute(query, (shadowed_types.target,)).fetchone() == (None,)


# The type in Parquet and in DuckDB, and the values as DuckDB reads them.
NEAREST: list[tuple[str, list[str], str, str, list[Any]]] = [
    ("smallint", ["-32768"], "SMALLINT", "SMALLINT", [-32768]),
    ("integer", ["2147483647"], "INTEGER", "INTEGER", [2147483647]),
    ("bigint", ["9223372036854775807"], "BIGINT", "BIGINT", [9223372036854775807]),
    ("real", ["0.1", "NaN"], "FLOAT", "FLOAT", ["0.1", "nan"]),
    ("double precision", ["0.1", "-Infinity"], "DOUBLE", "DOUBLE", ["0.1", "-inf"]),
    ("numeric(10,2)", ["1.5", "-0.01"], "DECIMAL(10,2)", "DECIMAL(10,2)", ["1.50", "-0.01"]),
    ("numeric(10,2)", ["1.5", "NaN"], "VARCHAR", "VARCHAR", ["1.50", "NaN"]),
    ("numeric(38,38)", ["0.00000000000000000000000000000000000001", "-0.5"], "DECIMAL(38,38)", "DECIMAL(38,38)", [".00000000000000000000000000000000000001", "-.50000000000000000000000000000000000000"]),  # DuckDB's own texts
    ("numeric", ["1.5", "2.25"], "DECIMAL(38,2)", "DECIMAL(38,2)", ["1.50", "2.25"]),
    ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "UUID", "UUID", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("jsonb", ['{"n": 1.10}', "null"], "VARCHAR", "JSON", ['{"n": 1.10}', "null"]),
    ("json", ['{"a":1, "a":1.10}'], "VARCHAR", "JSON", ['{"a":1, "a":1.10}']),
    ("json", ['{"a":1}', '"\\ud800"'], "VARCHAR", "VARCHAR", ['{"a":1}', '"\\ud800"']),
    ("bytea", ["\\x00ff", "\\x"], "BLOB", "BLOB", ["\\x00\\xFF", ""]),
    ("boolean[]", ["{t,NULL}"], "BOOLEAN[]", "BOOLEAN[]", ["[true, NULL]"]),
    ("smallint[]", ["{1}"], "SMALLINT[]", "SMALLINT[]", ["[1]"]),
    ("integer[]", ["{1,NULL,3}", "{}"], "INTEGER[]", "INTEGER[]", ["[1, NULL, 3]", "[]"]),
    ("bigint[]", ["{9223372036854775807}"], "BIGINT[]", "BIGINT[]", ["[9223372036854775807]"]),
    ("integer[]", ["{1,NULL}", "{{1,2},{3,4}}"], "VARCHAR", "VARCHAR", ["[1,null]", "[[1,2],[3,4]]"]),
    ("float8[]", ["{0.1,5e-324}"], "DOUBLE[]", "DOUBLE[]", ["[0.1, 5e-324]"]),
    ("float8[]", ["{-0,0.5,-0}", "{0}"], "DOUBLE[]", "DOUBLE[]", ["[-0.0, 0.5, -0.0]", "[0.0]"]),
    ("float8[]", ["{1}", "{NaN}"], "VARCHAR", "VARCHAR", ["[1]", '["NaN"]']),
    ("text[]", ['{"a,b",NULL}'], "VARCHAR[]", "VARCHAR[]", ["['a,b', NULL]"]),
    ("uuid[]", ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"], "VARCHAR[]", "VARCHAR[]", ["[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]"]),
    ("a_mood[]", ["{ok}"], "VARCHAR[]", "VARCHAR[]", ["[ok]"]),
    ("numeric(10,2)[]", ["{1.1}"], "VARCHAR", "VARCHAR", ["[1.10]"]),
    ("timestamptz", ["2024-01-01 10:00+02"], "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", ["2024-01-01 08:00:00+00"]),
    ("timestamptz", ["infinity"], "VARCHAR", "VARCHAR", ["infinity"]),
    ("interval", ["1 day 2 hours"], "VARCHAR", "VARCHAR", ["P1DT2H"]),
    ("a_mood", ["ok"], "VARCHAR", "VARCHAR", ["ok"]),
    ("inet", ["10.0.0.1"], "VARCHAR", "VARCHAR", ["10.0.0.1"]),
    ("int4range", ["[1,5]"], "VARCHAR", "VARCHAR", ["[1,6)"]),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_files_get_the_nearest_type(copy: Copy, kind: str) -> None:
    create_subject(copy.source, [(name, values, "") for name, values, *_ in NEAREST])
    copy.run(kind=kind, config={})
    arrived = [
        (name, column_type, [text for text in texts if text is not None])
        for (name, *_), (column_type, texts) in zip(NEAREST, read_file(copy)[1:], strict=True)
    ]
    assert arrived == [
        (name, parquet_type if kind == "parquet" else duckdb_type, list(map(str, texts)))
        for name, _, parquet_type, duckdb_type, texts in NEAREST
    ]


def read_file(copy: Copy, *, all_files: bool = False) -> list[tuple[Any, ...]]:
    """Return for each column of the published files its type and its values as texts, as DuckDB reads them.

    With `all_files` the files of earlier runs are read too.
    """
    paths = [str(copy.pipeline.folder / output.key) for output in copy.pipeline.outputs]
    if all_files and not paths[0].endswith(".duckdb"):
        manifest = next(copy.pipeline.folder.rglob("manifest.json"))
        parts = json.loads(manifest.read_text())["parts"]
        paths = [str(manifest.parent / part["key"]) for part in parts]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        subject = f"read_parquet({paths})"
        if paths[0].endswith(".duckdb"):
            connection.execute(f"ATTACH '{paths[0]}' AS attached (READ_ONLY)")
            subject = f"attached.main.{copy.pipeline.spec.destination.table}"
        types = connection.execute(f"DESCRIBE FROM {subject}").fetchall()
        texts = connection.execute(
            f"SELECT CAST(COLUMNS(*) AS VARCHAR) FROM {subject} ORDER BY id"
        ).fetchall()
    values = list(zip(*texts, strict=True)) or [()] * len(types)
    return [(column[1], list(own)) for column, own in zip(types, values, strict=True)]


# Tables that exist

SOME_COLUMNS = [
    ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], ""),
    ("jsonb", ['{"n": 1.10}'], ""),
    ("integer[]", ["{1,NULL}"], ""),
    ("bytea", ["\\x00ff"], ""),
    ("inet", ["10.0.0.1"], ""),
    ("numeric(10,2)", ["1.5"], ""),
    ("interval", ["1 day 2 hours"], ""),
    ("real", ["0.1"], ""),
    ("character(5)", ["x"], ""),
]
RULED_TYPES = [
    "text",
    "text",
    "text",
    "text",
    "text",
    "numeric",
    "text",
    "double precision",
    "text",
]
RULED_TEXTS = [
    *("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", '{"n": 1.10}', "[1,null]", "AP8=", "10.0.0.1"),
    *("1.50", "P1DT2H", "0.1", "x    "),
]  # fmt: skip
UNCHANGED = CodeSpec("def transform(record):\n    return record\n", label="transform")
OWN_TYPES = {"id": "integer"} | {
    f"c{number}": name for number, (name, *_) in enumerate(SOME_COLUMNS)
}


def set_transform(copy: Copy, transform: CodeSpec | None) -> None:
    copy.pipeline.spec = replace(copy.pipeline.spec, transform=transform)


def create_subject_of_texts(copy: Copy) -> None:
    """Create the table with the types and values that an older release wrote for `SOME_COLUMNS`."""
    values = [[text] for text in RULED_TEXTS]
    create_subject(
        copy.source, [(name, own, "") for name, own in zip(RULED_TYPES, values, strict=True)]
    )


def change_types_of_subject(copy: Copy, *ids: int) -> None:
    """Create the table anew with native types, and rows of these ids."""
    copy.source.execute("DROP TABLE subject")
    create_subject(copy.source, SOME_COLUMNS)
    for number in ids:
        copy_row(copy, number)
    copy.source.execute(f"DELETE FROM subject WHERE id NOT IN ({', '.join(map(str, ids))})")


def copy_row(copy: Copy, number: int) -> None:
    names = ", ".join(f"c{number}" for number in range(len(SOME_COLUMNS)))
    copy.source.execute(
        f"INSERT INTO subject SELECT {number}, {names} FROM subject LIMIT 1 ON CONFLICT DO NOTHING"
    )


def create_table_of_an_older_release(copy: Copy) -> None:
    """Write the table by the rules for Drover's own types, as every run did before there were native types."""
    copy.destination.execute("CREATE SCHEMA IF NOT EXISTS arrivals")
    columns = ", ".join(f"c{number} {name}" for number, name in enumerate(RULED_TYPES))
    copy.destination.execute(f"CREATE TABLE {copy.target} (id bigint, {columns})".encode())
    marks = ", ".join("%s" for _ in RULED_TEXTS)
    copy.destination.execute(
        f"INSERT INTO {copy.target} VALUES (-1, {marks})".encode(), RULED_TEXTS
    )


def test_a_full_refresh_adopts_the_types_of_the_source(copy: Copy) -> None:
    create_subject_of_texts(copy)
    copy.run()
    assert list(copy.types.values())[1:] == RULED_TYPES
    change_types_of_subject(copy, 0)
    copy.run()
    assert copy.types == OWN_TYPES
    copy.source.execute("ALTER TABLE subject ALTER c0 TYPE text, ALTER c7 TYPE double precision")
    copy.run()
    assert copy.types == {**OWN_TYPES, "c0": "text", "c7": "double precision"}
    assert copy.values() == copy.source_values()


def test_an_incremental_stream_keeps_the_columns_it_has(copy: Copy) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    create_table_of_an_older_release(copy)
    copy.run_incrementally()
    types = {f"c{number}": name for number, name in enumerate(RULED_TYPES)}
    assert copy.types == {"id": "bigint", **types}
    copy.source.execute("ALTER TABLE subject ADD extra uuid DEFAULT gen_random_uuid()")
    copy_row(copy, 1)
    copy.run_incrementally()
    assert copy.types == {"id": "bigint", **types, "extra": "uuid"}
    assert [row[1:10] for row in copy.values()] == [tuple(RULED_TEXTS)] * 3


def test_an_incremental_stream_goes_on_with_native_types(copy: Copy) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    copy.run_incrementally()
    copy.source.execute(
        "INSERT INTO subject SELECT 1, c0, c1, '{{3}}', c3, c4, 'NaN', c6, c7, c8 FROM subject"
    )
    copy.run_incrementally()
    assert copy.types == OWN_TYPES
    assert copy.values() == copy.source_values()


def test_a_merge_updates_rows_of_native_types(copy: Copy) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    copy.run(write_mode="merge", primary_key=("c0",))
    copy.source.execute("UPDATE subject SET c2 = '{7}', c5 = 'NaN'")
    copy.run(write_mode="merge", primary_key=("c0",))
    assert copy.types == OWN_TYPES
    assert copy.values() == copy.source_values()


def test_a_table_with_a_view_is_filled_by_the_written_rule(copy: Copy) -> None:
    create_subject_of_texts(copy)
    copy.run()
    view = f"CREATE VIEW {copy.target}_view AS SELECT * FROM {copy.target}"
    copy.destination.execute(view.encode())
    change_types_of_subject(copy, 0)
    copy.run()
    assert list(copy.types.values())[1:] == RULED_TYPES
    assert copy.values() == [("0", *RULED_TEXTS)]


def test_a_table_of_the_user_is_filled_by_its_types(copy: Copy) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    copy.destination.execute("CREATE SCHEMA IF NOT EXISTS arrivals")
    columns = "id bigint, c0 uuid, c1 jsonb, c2 integer[], c3 bytea, c4 text, c5 numeric(12,4), c6 interval, c8 varchar"
    copy.destination.execute(f"CREATE TABLE {copy.target} ({columns})".encode())
    copy.run(write_mode="append")
    (row,) = copy.values()
    assert row[1:9] == (
        *(RULED_TEXTS[0], '{"n": 1.10}', "{1,NULL}", "\\x00ff", "10.0.0.1", "1.5000"),
        *("1 day 02:00:00", "x    "),
    )


@pytest.mark.parametrize("write_mode", ["replace", "append", "merge"])
def test_an_empty_table_keeps_its_columns_and_types(copy: Copy, write_mode: WriteMode) -> None:
    create_subject(copy.source, COLUMNS)
    copy.source.execute("TRUNCATE subject")
    copy.run(write_mode=write_mode, primary_key=("id",) if write_mode == "merge" else ())
    types = {f"c{number}": own or name for number, (name, _, own) in enumerate(COLUMNS)}
    assert copy.types == {"id": "integer", **types}


@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_an_empty_file_keeps_its_columns_and_types(copy: Copy, kind: str) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    copy.run(kind=kind, config={})
    types = [column_type for column_type, _ in read_file(copy)]
    copy.source.execute("TRUNCATE subject")
    copy.pipeline.spec = replace(copy.pipeline.spec, rules=PublishRules(allow_empty=True))
    copy.run()
    assert [column_type for column_type, _ in read_file(copy)] == types


# Comments and NOT NULL

SELECT_PROPERTIES = """
SELECT a.attname, a.attnotnull, col_description(a.attrelid, a.attnum)
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


def create_described_subject(copy: Copy) -> None:
    copy.source.execute(
        "CREATE TABLE subject (id integer PRIMARY KEY, u uuid NOT NULL, n text)",
        "INSERT INTO subject VALUES (1, gen_random_uuid(), NULL)",
        "COMMENT ON TABLE subject IS 'It''s the subject'",
        "COMMENT ON COLUMN subject.u IS 'who'",
    )


def properties(copy: Copy) -> tuple[str | None, list[tuple[Any, ...]]]:
    query = "SELECT obj_description(%s::regclass, 'pg_class')"
    row = copy.destination.execute(query, (copy.target,)).fetchone()
    columns = copy.destination.execute(SELECT_PROPERTIES, (copy.target,)).fetchall()
    return row[0] if row else None, columns


def test_comments_and_not_null_are_not_copied_unasked(copy: Copy) -> None:
    create_described_subject(copy)
    copy.run()
    nothing = [("id", False, None), ("u", False, None), ("n", False, None)]
    assert properties(copy) == (None, nothing)


def test_comments_and_not_null_are_copied_if_asked(copy: Copy) -> None:
    create_described_subject(copy)
    settings = {
        **copy.pipeline.spec.destination.config,
        "copy_comments": True,
        "copy_not_null": True,
    }
    copy.run(config=settings)
    columns = [("id", True, None), ("u", True, "who"), ("n", False, None)]
    assert properties(copy) == ("It's the subject", columns)
    copy.source.execute(
        "COMMENT ON COLUMN subject.n IS 'note'", "ALTER TABLE subject ALTER u DROP NOT NULL"
    )
    copy.source.execute("ALTER TABLE subject ALTER u TYPE text")
    copy.run()
    columns = [("id", True, None), ("u", False, "who"), ("n", False, "note")]
    assert properties(copy) == ("It's the subject", columns)
    assert copy.types == {"id": "integer", "u": "text", "n": "text"}


def test_an_existing_table_gets_new_comments_and_keeps_its_columns(copy: Copy) -> None:
    create_described_subject(copy)
    copy.run_incrementally()
    copy.source.execute("INSERT INTO subject VALUES (2, gen_random_uuid(), NULL)")
    settings = {
        **copy.pipeline.spec.destination.config,
        "copy_comments": True,
        "copy_not_null": True,
    }
    copy.run_incrementally(config=settings)
    columns = [("id", False, None), ("u", False, "who"), ("n", False, None)]
    assert properties(copy) == ("It's the subject", columns)


# A run of several attempts


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", ["postgres", "parquet"])
@pytest.mark.parametrize("snapshot", ["whole", "paged"])
def test_a_second_attempt_goes_on_with_the_types_of_the_first(
    copy: Copy, kind: str, snapshot: str
) -> None:
    copy.source.execute(
        "CREATE TABLE subject (id integer PRIMARY KEY, u uuid, a integer[], t timestamptz)",
        "INSERT INTO subject SELECT n, gen_random_uuid(), ARRAY[n, NULL], 'infinity' FROM generate_series(1, 3000) n",
    )
    copy.pipeline.change_settings(source={"page_size": 100, "snapshot": snapshot})
    if kind != "postgres":
        destination = replace(copy.pipeline.spec.destination, kind=kind, config={})
        copy.pipeline.spec = replace(copy.pipeline.spec, destination=destination)
    if snapshot == "paged":
        outcome = copy.pipeline.kill_and_resume()
    else:
        copy.pipeline.attempt_with_kill("checkpoint done 1")
        outcome = copy.pipeline.attempt()
    assert isinstance(outcome, Succeeded), outcome
    if kind == "postgres":
        assert list(copy.types.values())[1:] == ["uuid", "integer[]", "timestamp with time zone"]
        assert copy.values() == copy.source_values()
    else:
        arrived = read_file(copy)
        assert [name for name, _ in arrived] == ["INTEGER", "UUID", "INTEGER[]", "VARCHAR"]
        assert len(set(arrived[1][1])) == 3000


# Files that exist


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_files_of_an_incremental_stream_keep_their_columns(copy: Copy, kind: str) -> None:
    create_subject_of_texts(copy)
    copy.run_incrementally(kind=kind, config={})
    types = [column_type for column_type, _ in read_file(copy)]
    change_types_of_subject(copy, 1)
    copy.run_incrementally()
    arrived = read_file(copy)
    assert [column_type for column_type, _ in arrived] == types
    assert [set(texts) for _, texts in arrived[1:]] == [{text} for text in RULED_TEXTS]


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", ["parquet", "duckdb", "csv", "jsonl"])
def test_a_full_refresh_follows_a_column_that_got_another_type(copy: Copy, kind: str) -> None:
    create_subject(copy.source, [("integer", ["1"], ""), ("numeric(10,2)", ["1.5"], "")])
    copy.run(kind=kind, config={})
    copy.source.execute(
        "ALTER TABLE subject ALTER c0 TYPE text", "INSERT INTO subject VALUES (1, 'abc', 'NaN')"
    )
    copy.run()
    if kind in {"parquet", "duckdb"}:
        assert read_file(copy)[1:] == [("VARCHAR", ["1", "abc"]), ("VARCHAR", ["1.50", "NaN"])]


def test_an_incremental_stream_recognizes_its_table_by_another_name_of_the_server(
    copy: Copy,
) -> None:
    create_subject(copy.source, [("text", ["a", "b"], "")])
    copy.run_incrementally()
    copy.pipeline.change_settings(destination={"host": "localhost"})
    copy.source.execute("INSERT INTO subject VALUES (2, 'c')")
    copy.run_incrementally()
    assert len(copy.values()) == 3
    copy.pipeline.change_settings(destination={"host": "127.0.0.1"})
    assert state.reset(copy.pipeline.spec.state_dsn, copy.pipeline.spec.stream_key)
    copy.run_incrementally()
    assert copy.values() == copy.source_values()


@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_an_incremental_stream_does_not_continue_in_another_table(copy: Copy, kind: str) -> None:
    create_subject(copy.source, [("text", ["a", "b"], "")])
    copy.run_incrementally(kind=kind, config={})
    copy.pipeline.start_new_run()
    spec = copy.pipeline.spec
    copy.pipeline.spec = replace(spec, destination=replace(spec.destination, table="elsewhere"))
    outcome = copy.pipeline.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.message.startswith("The table of the destination changed: reset the stream")


REMOVALS: dict[
    str, tuple[str, Callable[[Copy], Any]]
] = {  # by what is removed: the kind of destination, and how
    "a table": (
        "postgres",
        lambda copy: copy.destination.execute(f"DROP TABLE {removable_table(copy)}".encode()),
    ),
    "a schema": (
        "postgres",
        lambda copy: copy.destination.execute(b"DROP SCHEMA removable CASCADE"),
    ),
    "a folder": ("parquet", lambda copy: shutil.rmtree(find_file(copy, "manifest.json").parent)),
    "a file": ("duckdb", lambda copy: find_file(copy, "*.duckdb").unlink()),
    "a table of a file": ("duckdb", lambda copy: drop_duckdb_table(copy)),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("removal", REMOVALS)
def test_an_incremental_stream_whose_table_is_gone_asks_for_a_reset(
    copy: Copy, removal: str
) -> None:
    """The new table would have the new records only."""
    create_subject(copy.source, [("text", ["a", "b"], "")])
    kind, remove = REMOVALS[removal]
    settings = {**copy.pipeline.spec.destination.config, "schema": "removable"}
    copy.run_incrementally(kind=kind, config=settings if kind == "postgres" else {})
    remove(copy)
    copy.source.execute("INSERT INTO subject VALUES (2, 'c')")
    copy.pipeline.start_new_run()
    outcome = copy.pipeline.attempt()
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retryable) == ("configuration", False)
    assert "is gone: reset the stream" in outcome.message
    assert state.reset(copy.pipeline.spec.state_dsn, copy.pipeline.spec.stream_key)
    copy.run_incrementally()
    if kind == "postgres":
        assert texts_of(copy.destination, removable_table(copy)) == copy.source_values()
    else:
        assert read_file(copy)[1][1] == ["a", "b", "c"]


def removable_table(copy: Copy) -> str:
    return f"removable.{copy.pipeline.spec.destination.table}"


def find_file(copy: Copy, pattern: str) -> Path:
    return next(copy.pipeline.folder.rglob(pattern))


def drop_duckdb_table(copy: Copy) -> None:
    with duckdb.connect(find_file(copy, "*.duckdb")) as connection:
        connection.execute(f"DROP TABLE {copy.pipeline.spec.destination.table}")


WIDER_NUMBERS = [  # two types of a column, a value of each, and their texts in Parquet and DuckDB afterwards
    ("smallint", "integer", "7", "70000", ["7", "70000"]),
    ("integer", "bigint", "7", "1099511627776", ["7", "1099511627776"]),
    ("integer", "numeric", "7", "1.5", ["7.0", "1.5"]),
    ("integer", "numeric(20,4)", "7", "8", ["7", "8"]),
    ("integer", "double precision", "7", "1.5", ["7.0", "1.5"]),
    ("numeric(10,2)", "numeric(12,4)", "1.5", "1.2345", ["1.5000", "1.2345"]),
    ("numeric(5,2)", "numeric(20,2)", "1.5", "123456789012.34", ["1.50", "123456789012.34"]),
    ("real", "double precision", "0.1", "0.123456789012", ["0.1", "0.123456789012"]),
    ("real", "double precision", "0.00001", "16777217", ["1e-05", "16777217.0"]),
]


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_wider_numbers_of_an_incremental_stream_are_not_rounded(copy: Copy, kind: str) -> None:
    create_subject(copy.source, [(case[0], [case[2]], "") for case in WIDER_NUMBERS])
    copy.run_incrementally(kind=kind, config={})
    for number, (_, wider, *_) in enumerate(WIDER_NUMBERS):
        copy.source.execute(f"ALTER TABLE subject ALTER c{number} TYPE {wider}")
    values = ", ".join(case[3] for case in WIDER_NUMBERS)
    copy.source.execute(f"INSERT INTO subject VALUES (1, {values})")
    copy.run_incrementally()
    texts = [texts for _, texts in read_file(copy, all_files=True)[1:]]
    if kind == "parquet":  # A column has the type of its values.
        texts[3] = [text.removesuffix(".0000") for text in texts[3]]
    assert texts == [case[4] for case in WIDER_NUMBERS]


def test_a_real_column_that_becomes_wider_keeps_its_numbers(copy: Copy) -> None:
    create_subject(
        copy.source, [("real", ["0.1"], ""), ("real", ["1.5"], ""), ("real", ["0.1"], "")]
    )
    copy.run_incrementally()
    copy.source.execute(
        "ALTER TABLE subject ALTER c0 TYPE double precision, ALTER c1 TYPE bigint, ALTER c2 TYPE numeric",
        "INSERT INTO subject VALUES (1, 0.123456789012, 16777217, 0.123456789012)",
    )
    copy.run_incrementally()
    assert copy.values() == [
        ("0", "0.1", "1.5", "0.1"),
        ("1", "0.123456789012", "16777217", "0.123456789012"),
    ]


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_files_go_on_with_native_types_and_a_new_column(copy: Copy, kind: str) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    copy.run_incrementally(kind=kind, config={})
    first = read_file(copy)
    copy.source.execute("ALTER TABLE subject ADD extra uuid")
    copy.source.execute(
        "INSERT INTO subject SELECT 1, c0, c1, c2, c3, c4, c5, c6, c7, c8, c0 FROM subject"
    )
    copy.run_incrementally()
    arrived = read_file(copy, all_files=True)
    assert arrived[:-1] == [
        (kind_of, [*texts, *texts] if n else ["0", "1"]) for n, (kind_of, texts) in enumerate(first)
    ]
    assert arrived[-1] == ("UUID", [None, RULED_TEXTS[0]])


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
@pytest.mark.parametrize("snapshot", ["whole", "paged"])
def test_a_value_on_a_later_page_that_no_list_can_have_makes_the_column_text(
    copy: Copy, kind: str, snapshot: str
) -> None:
    values = ["{1}", "{2,NULL}", "{{1,2},{3,4}}", "{4}"]
    create_subject(
        copy.source, [("integer[]", values, ""), ("numeric(10,2)", ["1.5", "2", "NaN", "3"], "")]
    )
    copy.pipeline.change_settings(source={"page_size": 1, "snapshot": snapshot})
    copy.run(kind=kind, config={})
    texts = ["[1]", "[2,null]", "[[1,2],[3,4]]", "[4]"]
    assert read_file(copy)[1:] == [("VARCHAR", texts), ("VARCHAR", ["1.50", "2.00", "NaN", "3.00"])]


def test_a_list_of_an_incremental_stream_that_no_file_can_have_is_rejected(copy: Copy) -> None:
    create_subject(copy.source, [("integer[]", ["{1}"], "")])
    copy.run_incrementally(kind="parquet", config={})
    copy.source.execute("INSERT INTO subject VALUES (1, '{{1,2}}')")
    copy.pipeline.start_new_run()
    outcome = copy.pipeline.attempt()
    assert isinstance(outcome, Failed)
    assert "list" in " ".join([outcome.message, *outcome.evidence])


# Transforms

TRANSFORM = """
def transform(record):
    record["c4"] = record["c4"] and "everywhere"
    record["own"] = "new"
    return record
"""
# Arrays and bytes are JSON and base64 for a transform, and `c4` was changed.
TRANSFORMED_TYPES = {**OWN_TYPES, "c2": "text", "c3": "text", "c4": "text", "own": "text"}


def test_a_transform_keeps_the_types_of_columns_that_it_did_not_change(copy: Copy) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    set_transform(copy, CodeSpec(TRANSFORM, label="transform"))
    copy.run()
    assert copy.types == TRANSFORMED_TYPES
    (row,) = copy.values()
    (expected,) = copy.source_values()
    changed = {3: "[1,null]", 4: "AP8=", 5: "everywhere"}
    assert row == (*(changed.get(n, value) for n, value in enumerate(expected)), "new")


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", ["postgres", "parquet", "duckdb"])
def test_a_column_that_a_transform_changes_on_a_later_page_has_no_native_type(
    copy: Copy, kind: str
) -> None:
    uuid_text = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    create_subject(copy.source, [("uuid", [uuid_text] * 3, ""), ("uuid", [uuid_text] * 3, "")])
    code = "def transform(record):\n    if record['id'] == 1: record['c1'] = 'masked'\n    return record\n"
    set_transform(copy, CodeSpec(code, label="transform"))
    copy.pipeline.change_settings(source={"page_size": 1, "snapshot": "paged"})
    texts = [[uuid_text] * 3, [uuid_text, "masked", uuid_text]]
    if kind == "postgres":
        copy.run()
        assert list(copy.types.values()) == ["integer", "uuid", "text"]
        assert [list(values) for values in zip(*copy.values(), strict=True)][1:] == texts
    else:
        copy.run(kind=kind, config={})
        assert read_file(copy)[1:] == [("UUID", texts[0]), ("VARCHAR", texts[1])]


@pytest.mark.parametrize("kind", ["postgres", "parquet"])
def test_a_number_that_a_transform_makes_a_boolean_is_a_boolean(copy: Copy, kind: str) -> None:
    """In Python, True equals 1 and False equals 0."""
    create_subject(copy.source, [("integer", ["0", "1"], ""), ("boolean", ["f", "t"], "")])
    code = "def transform(record):\n    return {**record, 'c0': bool(record['c0']), 'c1': int(record['c1'])}\n"
    set_transform(copy, CodeSpec(code, label="transform"))
    if kind == "postgres":
        copy.run()
        assert list(copy.types.values()) == ["integer", "boolean", "bigint"]
        assert copy.values() == [("0", "false", "0"), ("1", "true", "1")]
    else:
        copy.run(kind=kind, config={})
        booleans, numbers = ("BOOLEAN", ["false", "true"]), ("BIGINT", ["0", "1"])
        assert read_file(copy)[1:] == [booleans, numbers]


def test_a_float_beside_a_text_of_a_later_page_has_one_spelling(copy: Copy) -> None:
    create_subject(copy.source, [("float8", ["1", "2", "1"], "")])
    code = "def transform(record):\n    if record['id'] == 1: record['c0'] = 'n/a'\n    return record\n"
    set_transform(copy, CodeSpec(code, label="transform"))
    copy.pipeline.change_settings(source={"page_size": 1, "snapshot": "paged"})
    copy.run()
    assert copy.values() == [("0", "1.0"), ("1", "n/a"), ("2", "1.0")]


@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_files_keep_types_after_a_transform(copy: Copy, kind: str) -> None:
    create_subject(copy.source, SOME_COLUMNS)
    set_transform(copy, UNCHANGED)
    copy.run(kind=kind, config={})
    types = [column_type for column_type, _ in read_file(copy)]
    json_type = "JSON" if kind == "duckdb" else "VARCHAR"
    expected = ["INTEGER", "UUID", json_type, "VARCHAR", "VARCHAR", "VARCHAR", "DECIMAL(10,2)"]
    assert types == [*expected, "VARCHAR", "FLOAT", "VARCHAR"]


# The documentation

DOCUMENTED = re.findall(
    r"^\| (.+?) \| (.+?) \| ([A-Z].*?) \| ([A-Z].*?) \|$",
    (ROOT / "docs/reference/what-arrives.md")
    .read_text()
    .partition("### Native types")[2]
    .partition("\n## ")[0],
    re.MULTILINE,
)[1:]
DESCRIBED_TYPES = {
    "an enum": "a_mood",
    "an array of enums": "a_mood[]",
    "a domain over `integer`": "a_positive",
    "a row type": "a_pair",
}


@pytest.mark.parametrize("kind", ["postgres", "parquet", "duckdb"])
def test_the_documented_types_arrive(copy: Copy, kind: str) -> None:
    names = [DESCRIBED_TYPES.get(name, name.strip("`")) for name, *_ in DOCUMENTED]
    assert len(names) > 40
    create_subject(copy.source, [(name, [], "") for name in names])
    if kind == "postgres":
        copy.run()
        types = list(copy.types.values())[1:]
    else:
        copy.run(kind=kind, config={})
        types = [column_type for column_type, _ in read_file(copy)][1:]
    column = {"postgres": 1, "parquet": 2, "duckdb": 3}[kind]
    assert types == [row[column] for row in DOCUMENTED]
