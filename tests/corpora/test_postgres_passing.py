"""Rows that pass from one PostgreSQL to another without being decoded arrive like decoded rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from apps.engine.contract import Contract, Failed, PublishRules, Succeeded
from apps.engine.field_rules import REDACTED, FieldRule, FieldRules
from apps.engine.frames.copied import BINARY_END, BINARY_HEADER, CopiedRows
from apps.engine.process.supervisor import EngineSupervisor
from apps.engine.sources.postgres import passing
from apps.engine.sources.postgres import source as source_module
from tests.corpora.test_native_types import COLUMNS, Copy, copy, create_subject
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.reading import make_source

__all__ = ["copy"]

NEVER_PASS = {"a_pair", "money"}  # They become texts.
WAYS: dict[str, dict[str, Any]] = {
    "in one snapshot": {"snapshot": "whole"},
    "in one snapshot and many pages": {"snapshot": "whole", "page_size": 2},
    "page by page": {"snapshot": "paged"},
    "in many pages": {"snapshot": "paged", "page_size": 2},
}


def change_source(copy: Copy, **settings: Any) -> None:
    spec = copy.pipeline.spec
    source = replace(spec.source, config={**spec.source.config, **settings})
    copy.pipeline.spec = replace(spec, source=source)


@pytest.mark.parametrize("is_binary", [True, False], ids=["binary", "text"])
@pytest.mark.parametrize("way", WAYS)
def test_every_type_and_value_passes(copy: Copy, way: str, is_binary: bool) -> None:
    columns = [column for column in COLUMNS if column[0] not in NEVER_PASS]
    if is_binary:  # The binary form of an array of enums is not that of texts.
        columns = [column for column in columns if column[0] != "a_mood[]"]
    create_subject(copy.source, columns)
    change_source(copy, **WAYS[way])
    copy.run()
    types = {f"c{number}": own or name for number, (name, _, own) in enumerate(columns)}
    assert copy.types == {"id": "integer", **types}
    assert copy.values() == copy.source_values()


@pytest.mark.parametrize("write_mode", ["append", "merge", "replace"])
def test_rows_of_a_key_pass_into_every_write_mode(copy: Copy, write_mode: str) -> None:
    copy.source.execute(
        "CREATE TABLE subject AS SELECT n AS id, n % 7 AS part, repeat('x', n) AS t FROM generate_series(1, 30) n",
        "ALTER TABLE subject ALTER id SET NOT NULL, ALTER part SET NOT NULL, ADD PRIMARY KEY (id)",
    )
    key = () if write_mode == "append" else ("part",)
    source = replace(copy.pipeline.spec.source, primary_key=key)
    copy.pipeline.spec = replace(copy.pipeline.spec, source=source)
    change_source(copy, snapshot="paged", page_size=4)
    copy.run(write_mode=write_mode, primary_key=key)
    newest = "SELECT DISTINCT ON (part) id::text FROM subject ORDER BY part, subject.id DESC"
    expected = copy.source.rows("SELECT id::text FROM subject" if not key else newest)
    assert sorted(row[0] for row in copy.values()) == sorted(row[0] for row in expected)


@pytest.fixture(scope="module")
def small_tables() -> Iterator[EngineSupervisor]:
    """An engine that reads the small tables of the tests as small ones."""
    engine = EngineSupervisor(
        preload=("tests.engine.rehearsal", "tests.engine.destinations.small_tables")
    )
    yield engine
    engine.close()


@pytest.mark.parametrize("key", ["id", "part"])
@pytest.mark.parametrize("write_mode", ["merge", "replace"])
def test_the_newest_row_of_each_key_of_a_small_table_arrives(
    copy: Copy, small_tables: EngineSupervisor, write_mode: str, key: str
) -> None:
    copy.pipeline.engine = small_tables
    copy.source.execute(
        "CREATE TABLE subject AS SELECT n AS id, n % 7 AS part, repeat('x', n) AS t FROM generate_series(1, 30) n",
        "ALTER TABLE subject ALTER part SET NOT NULL, ADD PRIMARY KEY (id)",
    )
    source = replace(copy.pipeline.spec.source, primary_key=(key,))
    copy.pipeline.spec = replace(copy.pipeline.spec, source=source)
    for _ in range(2):
        copy.run(write_mode=write_mode, primary_key=(key,))
        newest = f"SELECT DISTINCT ON ({key}) id::text FROM subject ORDER BY {key}, subject.id DESC"
        expected = copy.source.rows(newest)
        assert sorted(row[0] for row in copy.values()) == sorted(row[0] for row in expected)


def test_the_rows_of_a_small_table_say_which_columns_are_unique(database: SourceDatabase) -> None:
    database.execute(
        "CREATE TABLE small AS SELECT n AS id, n % 3 AS part FROM generate_series(1, 9) n",
        "ALTER TABLE small ADD PRIMARY KEY (id)",
    )
    (page,) = read_copied(database, "small")
    assert page.unique_by == ("id",)
    database.execute("CREATE TABLE heir () INHERITS (small)", "INSERT INTO heir VALUES (1, 1)")
    (page,) = read_copied(database, "small")
    assert (page.row_count, page.unique_by) == (10, ())


KEYS = {
    "smallint": ["-32768", "0", "32767"],
    "bigint": ["-9223372036854775808", "-1", "256", "9223372036854775807"],
    "uuid": ["00000000-0000-0000-0000-00000000000a", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "text": ["", "\t", "\n", "\\", "a\\nb", 'q"', "x,y", "é😀"],
    "varchar(9)": ["a", "b\r\nc"],
    "numeric": ["-1.50", "0.1", "123456789012345678901234567890"],
    "timestamptz": ["0044-03-15 01:02Z BC", "2024-01-01 10:00+02", "infinity"],
    "date": ["-infinity", "2024-02-29"],
    "bytea": ["\\x", "\\x00ff0a5c"],
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_page_begins_after_the_key_of_any_type(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    read_as_large_tables(monkeypatch)
    rows = ", ".join("('{}')".format(value.replace("'", "''")) for value in KEYS[kind])
    database.execute(
        "DROP TABLE IF EXISTS keyed", f"CREATE TABLE keyed (c text, k {kind} PRIMARY KEY)",
        f"INSERT INTO keyed (k) VALUES {rows}",
    )  # fmt: skip
    pages = read_copied(database, "keyed", page_size=1)
    assert [page.row_count for page in pages] == [1] * len(KEYS[kind])
    assert {page.format for page in pages} == {
        "binary" if kind in {"smallint", "bigint", "uuid", "text", "varchar(9)"} else "text"
    }


def test_rows_are_decoded_if_somebody_looks_inside(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as_large_tables(monkeypatch)
    database.execute(
        "CREATE TABLE plain AS SELECT n AS id, 1 AS v FROM generate_series(1, 9) n",
        "CREATE TABLE owned AS SELECT n AS id, 1::money AS v FROM generate_series(1, 9) n",
    )
    assert len(read_copied(database, "plain")) == 1
    assert not read_copied(database, "plain", kept_types={"v": ""}), (
        "the destination has another type"
    )
    assert not read_copied(database, "plain", copy_version=0)
    assert not read_copied(database, "plain", primary_key=("id",)), (
        "nobody has checked that it has values"
    )
    assert not read_copied(database, "plain", primary_key=("nothing",)), "there is no such column"
    assert not read_copied(database, "owned"), "the text of money depends on the server"


def test_rows_with_rules_for_their_fields_are_decoded_and_keep_the_other_types(copy: Copy) -> None:
    copy.source.execute(
        "CREATE TABLE subject AS SELECT n AS id, n || '@example.com' AS mail, gen_random_uuid() AS code, n::int2 AS small "
        "FROM generate_series(1, 9) n",
        "ALTER TABLE subject ADD PRIMARY KEY (id)",
    )
    rules = (
        FieldRule("mail", protect="redact"),
        FieldRule("code", name="uid"),
        FieldRule("small", type="string"),
    )
    copy.pipeline.spec = replace(copy.pipeline.spec, fields=FieldRules(rules))
    copy.run()
    assert copy.types == {"id": "integer", "mail": "text", "uid": "uuid", "small": "text"}
    (row, *_) = copy.values()
    assert REDACTED in row


def test_rows_of_frozen_columns_pass_and_a_changed_type_fails_the_run(copy: Copy) -> None:
    copy.source.execute(
        "CREATE TABLE subject AS SELECT n AS id, n::int4 AS small FROM generate_series(1, 9) n",
        "ALTER TABLE subject ADD PRIMARY KEY (id)",
    )
    copy.pipeline.spec = replace(copy.pipeline.spec, contract="freeze")
    for _ in range(2):
        copy.run()
        assert copy.values() == copy.source_values()
    copy.source.execute("ALTER TABLE subject ALTER small TYPE bigint")
    copy.pipeline.start_new_run()
    outcome = copy.pipeline.attempt()
    assert isinstance(outcome, Failed)
    assert "the column 'small' was integer and is bigint now" in outcome.message
    assert copy.types == {"id": "integer", "small": "integer"}


def test_a_new_column_is_left_out_of_a_copied_table(copy: Copy) -> None:
    copy.source.execute(
        "CREATE TABLE subject AS SELECT n AS id, gen_random_uuid() AS code FROM generate_series(1, 9) n",
        "ALTER TABLE subject ADD PRIMARY KEY (id)",
    )
    copy.run()
    copy.source.execute(
        "ALTER TABLE subject ADD note inet NOT NULL DEFAULT '10.0.0.1'",
        "COMMENT ON COLUMN subject.note IS 'new'",
    )
    contracts: list[tuple[Contract, int]] = [("drop_columns", 9), ("drop_rows", 0)]
    for contract, rows in contracts:
        copy.pipeline.spec = replace(
            copy.pipeline.spec, contract=contract, rules=PublishRules(allow_empty=True)
        )
        copy.run()
        assert copy.types == {"id": "integer", "code": "uuid"}
        assert len(copy.values()) == rows


def test_the_log_says_that_row_security_hides_rows(copy: Copy) -> None:
    create_subject(copy.source, [("text", ["a"], "")])
    copy.run()
    assert not any("row security" in line.message for line in copy.pipeline.log)
    copy.source.execute(
        "ALTER TABLE subject ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON subject USING (id = 0)",
        "INSERT INTO subject VALUES (1, 'b')",
    )
    copy.run()
    assert len(copy.values()) == 1
    (line,) = [line for line in copy.pipeline.log if "row security" in line.message]
    assert line.level == "warning"


def test_a_key_that_the_table_does_not_have_fails(copy: Copy) -> None:
    create_subject(copy.source, [("text", ["a"], "")])
    copy.pipeline.start_new_run()
    spec = copy.pipeline.spec
    copy.pipeline.spec = replace(
        spec,
        source=replace(spec.source, primary_key=("nothing",)),
        destination=replace(spec.destination, primary_key=("nothing",)),
    )
    outcome = copy.pipeline.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.message == "1 records have no value for the key 'nothing'"


@pytest.mark.parametrize(
    "damage", ["DROP TABLE {}", "TRUNCATE {}", "DELETE FROM {} WHERE ctid = '(0,1)'"]
)
def test_staged_rows_that_somebody_has_removed_are_read_again(copy: Copy, damage: str) -> None:
    create_subject(copy.source, [("text", [str(number) for number in range(20)], "")])
    change_source(copy, snapshot="paged", page_size=2)
    copy.pipeline.start_new_run()
    copy.pipeline.attempt_with_kill("checkpoint done 2")
    assert copy.pipeline.child_was_killed
    query = "SELECT relname FROM pg_class WHERE relname ~ '^_drover_stg_' AND relnamespace = 'arrivals'::regnamespace"
    names = copy.destination.execute(query).fetchall()
    assert names
    for (name,) in names:
        copy.destination.execute(damage.format(f"arrivals.{name}").encode())
    assert isinstance(copy.pipeline.attempt(), Succeeded)
    assert copy.values() == copy.source_values()


def test_another_version_gets_texts(
    database: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as_large_tables(monkeypatch)
    database.execute(
        "CREATE TABLE versioned AS SELECT n AS id FROM generate_series(1, 9) n",
        "ALTER TABLE versioned ADD PRIMARY KEY (id)",
    )
    (page,) = read_copied(database, "versioned", copy_version=9, page_size=10)
    assert page == CopiedRows("text", ("id",), page.pieces, 9)


def test_rows_are_cut_out_of_what_surrounds_them() -> None:
    row = b"\0\1\0\0\0\2\xff\xff"
    assert passing.without_frame([BINARY_HEADER + row, row + BINARY_END], is_complete=True) == (
        row,
        row,
    )
    assert passing.without_frame([BINARY_HEADER + row, BINARY_END], is_complete=True) == (row,)
    assert passing.without_frame([BINARY_HEADER + BINARY_END], is_complete=True) == ()
    assert passing.without_frame([BINARY_HEADER + row], is_complete=False) == (row,)
    assert passing.count_rows([row * 3, row]) == 4


def read_as_large_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "BULK_BYTES", 0)
    monkeypatch.setattr(source_module, "BULK_PAGE_ROWS", 1)


def read_copied(
    database: SourceDatabase,
    stream: str,
    *,
    page_size: int = 50_000,
    copy_version: int | None = None,
    kept_types: dict[str, str] | None = None,
    primary_key: tuple[str, ...] = (),
) -> list[CopiedRows]:
    """Return the pages that are not decoded."""
    snapshot = "paged" if page_size < 50_000 else "auto"
    config = {**database.config, "page_size": page_size, "snapshot": snapshot}
    source = make_source("postgres", config, stream, primary_key=primary_key)
    source.type_system, source.kept_types = "postgres", kept_types or {}
    version = database.admin.info.server_version // 10_000
    source.copy_version = version if copy_version is None else copy_version
    pages: list[CopiedRows] = []
    token: dict[str, Any] = {}
    while True:
        page: Any = source.get(token)
        pages += [page.copied] if page.copied else []
        token = page.next_pagination
        if not token:
            source.close()
            return pages
