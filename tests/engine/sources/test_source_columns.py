"""Each attempt reports what the source has of the stream: its columns and its key, before anything changes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from apps.engine.contract import Failed, Succeeded
from apps.engine.field_rules import FieldRule, FieldRules
from apps.engine.source_columns import MAX_COLUMNS, SourceColumns
from apps.engine.sources.connector import frame_page, rows_page
from apps.engine.sync.seen_columns import SeenColumns
from tests.engine.conftest import Rehearsal
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.test_contracts import make_run

MakeRehearsal = Callable[..., Rehearsal]


def result(
    seen: SeenColumns, *, is_everything_read: bool = True, left_out: tuple[str, ...] = ()
) -> SourceColumns | None:
    return seen.result(None, is_everything_read=is_everything_read, left_out=left_out)


def reported(run: Rehearsal) -> SourceColumns:
    return [event for event in run.events if isinstance(event, SourceColumns)][-1]


def test_frames_tell_all_columns_if_everything_was_read() -> None:
    seen = SeenColumns()
    seen.add(frame_page(pl.DataFrame({"id": [1], "name": ["a"]}), {}))
    assert result(seen) == SourceColumns({"id": "", "name": ""}, is_complete=True, left_out=[])
    partial = result(seen, is_everything_read=False)
    assert partial is not None
    assert not partial.is_complete


def test_objects_may_leave_out_fields_so_they_never_tell_all_columns() -> None:
    seen = SeenColumns()
    seen.add(rows_page([{"id": 1}, {"id": 2, "name": "a"}], {}))
    found = result(seen, left_out=("name",))
    assert found == SourceColumns({"id": "", "name": ""}, left_out=["name"])


def test_an_empty_source_tells_nothing() -> None:
    seen = SeenColumns()
    seen.add(rows_page([], {}))
    assert result(seen) is None


def test_names_that_cannot_be_stored_or_are_too_many_are_not_reported() -> None:
    seen = SeenColumns()
    seen.add(rows_page([{"id": 1, "nul\0": 1, "\ud800": 1, "x" * 201: 1, "é": 1}], {}))
    found = result(seen)
    assert found is not None
    assert list(found.columns) == ["id", "é"]
    seen.add(rows_page([{f"c{n}": 1 for n in range(MAX_COLUMNS)}], {}))
    assert result(seen) is None


def test_types_and_keys_of_a_hostile_server_that_cannot_be_stored_are_not_reported() -> None:
    declared = SourceColumns({"id": "int", "odd": "a\0b"}, ["id", "nul\0"], is_complete=True)
    found = SeenColumns().result(declared, is_everything_read=True, left_out=())
    assert found == SourceColumns({"id": "int", "odd": ""}, None, is_complete=True, left_out=[])


def test_a_table_declares_its_columns_and_its_key_whatever_the_rules_are(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "evolve")
    rules = FieldRules((FieldRule("mail", name="email"), FieldRule("phone", protect="hash")))
    run.spec = replace(run.spec, fields=replace(rules, hash_secret="k" * 64))
    assert isinstance(run.attempt(), Succeeded)
    columns = {"n": "integer", "mail": "text", "phone": "text"}
    assert reported(run) == SourceColumns(columns, ["n"], is_complete=True, left_out=[])


def test_a_run_that_the_contract_stops_reports_the_new_column(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "freeze")
    assert isinstance(run.attempt(), Failed)
    assert "phone" in reported(run).columns


def test_a_column_that_the_contract_leaves_out_is_named(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "drop_columns")
    assert isinstance(run.attempt(), Succeeded)
    assert reported(run).left_out == ["phone"]


def test_a_table_that_is_gone_is_reported_as_missing(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "evolve")
    database.execute("DROP TABLE people")
    assert isinstance(run.attempt(), Failed)
    assert reported(run).is_missing


def test_another_key_is_reported_although_the_stream_has_to_be_reset_before_it_is_read(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "evolve")
    source = replace(run.spec.source, sync_mode="incremental", cursor_field="n")
    run.spec = replace(run.spec, source=replace(source, primary_key=("n",)))
    assert isinstance(run.attempt(), Succeeded)
    database.execute("ALTER TABLE people DROP CONSTRAINT people_pkey")
    run.start_new_run()
    run.spec = replace(run.spec, source=replace(source, primary_key=()))
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "The primary key changed" in outcome.message
    assert reported(run).key == []
