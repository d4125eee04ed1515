"""The contract of a stream: new columns and values of another type arrive, fail the run, or are left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from apps.engine.contract import Contract, Failed, Succeeded
from apps.engine.failures import COLUMNS_CHANGED, ContractError, FailureClass
from apps.engine.field_rules import FieldRule, FieldRules
from apps.engine.frames.contracts import NO_COLUMNS, ColumnContract
from apps.engine.frames.decoding import DecodedPage, StreamSchema
from apps.engine.frames.native import NativeColumn, NativeTable
from tests.engine.conftest import Rehearsal
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.test_fields import published

MakeRehearsal = Callable[..., Rehearsal]
Rows = list[dict[str, Any]]
EARLIER: Rows = [{"id": 1, "name": "a"}]


def contract_after(earlier: Rows, mode: Contract, *chosen: str) -> ColumnContract:
    """Return the contract for the sync after one that had these rows."""
    schema = StreamSchema()
    schema.decode(earlier)
    stored = schema.pin().to_json()
    return ColumnContract(StreamSchema.from_json(stored), mode, frozenset(chosen))


def decode_rows(contract: ColumnContract, rows: Rows) -> DecodedPage:
    return contract.decode(rows, None)


def decode_frame(contract: ColumnContract, rows: Rows) -> DecodedPage:
    return contract.decode_frame(pl.DataFrame(rows, strict=False), None)


in_rows_and_frames = pytest.mark.parametrize("decode", [decode_rows, decode_frame])


def reasons(page: DecodedPage) -> list[tuple[int, str]]:
    assert not page.rejected
    return [(item.index, item.reason) for item in page.skipped]


@in_rows_and_frames
def test_a_first_sync_decides_the_columns_whatever_the_contract_is(decode: Any) -> None:
    contract = ColumnContract(StreamSchema(), "freeze")
    assert decode(contract, [{"id": 1}]).frame.columns == ["id"]
    assert decode(contract, [{"id": 2, "name": "b"}]).frame.columns == ["id", "name"]


@in_rows_and_frames
def test_a_column_that_does_not_come_any_more_is_empty(decode: Any) -> None:
    for mode in ("freeze", "drop_columns", "drop_rows"):
        page = decode(contract_after(EARLIER, mode), [{"id": 2}])
        assert page.frame.to_dicts() == [{"id": 2, "name": None}]


@in_rows_and_frames
def test_frozen_columns_refuse_a_new_column_even_without_values(decode: Any) -> None:
    with pytest.raises(ContractError, match=f"{COLUMNS_CHANGED}: there are new columns, 'x'"):
        decode(contract_after(EARLIER, "freeze"), [{"id": 2, "x": None}])
    with pytest.raises(ContractError, match="'c0', 'c1', 'c2', 'c3', 'c4' and 2 more"):
        decode(contract_after(EARLIER, "freeze"), [{f"c{n}": 1 for n in range(7)}])


@in_rows_and_frames
def test_frozen_columns_refuse_a_value_of_another_type_and_do_not_show_it(decode: Any) -> None:
    with pytest.raises(ContractError, match=COLUMNS_CHANGED) as caught:
        decode(contract_after(EARLIER, "freeze"), [{"id": "secret"}])
    assert "secret" not in caught.value.message
    assert "the field 'id' has a value that does not fit" in caught.value.message


@in_rows_and_frames
def test_frozen_columns_do_not_widen(decode: Any) -> None:
    assert decode(contract_after(EARLIER, "evolve"), [{"id": 1.5}]).frame["id"].to_list() == [1.5]
    with pytest.raises(ContractError, match="its column is pinned as integer"):
        decode(contract_after(EARLIER, "freeze"), [{"id": 1.5}])


@in_rows_and_frames
def test_a_column_without_a_value_so_far_takes_its_first_type(decode: Any) -> None:
    contract = contract_after([{"id": 1, "name": None}], "freeze")
    assert decode(contract, [{"id": 2, "name": 5}]).frame["name"].to_list() == [5]


@in_rows_and_frames
def test_a_column_that_a_rule_names_is_not_new(decode: Any) -> None:
    page = decode(contract_after(EARLIER, "freeze", "x"), [{"id": 2, "x": "b"}])
    assert page.frame.to_dicts() == [{"id": 2, "name": None, "x": "b"}]


@in_rows_and_frames
def test_new_columns_are_left_out_and_their_records_arrive(decode: Any) -> None:
    contract = contract_after(EARLIER, "drop_columns")
    page = decode(contract, [{"id": 2, "name": "b", "x": 1}, {"id": 3, "name": "c", "x": None}])
    assert page.frame.to_dicts() == [{"id": 2, "name": "b"}, {"id": 3, "name": "c"}]
    assert (page.rejected, page.skipped, contract.left_out) == ([], [], {"x"})


@in_rows_and_frames
def test_a_record_of_which_nothing_arrives_is_skipped(decode: Any) -> None:
    page = decode(contract_after(EARLIER, "drop_columns"), [{"x": 1}, {"x": 2}])
    assert page.frame.height == 0
    assert reasons(page) == [(0, NO_COLUMNS), (1, NO_COLUMNS)]


@in_rows_and_frames
def test_a_value_of_another_type_rejects_its_record_if_only_columns_are_left_out(
    decode: Any,
) -> None:
    page = decode(contract_after(EARLIER, "drop_columns"), [{"id": "a", "x": 1}])
    assert [(item.index, item.is_misfit) for item in page.rejected] == [(0, True)]


@in_rows_and_frames
def test_records_with_a_value_in_a_new_column_are_skipped(decode: Any) -> None:
    rows: Rows = [{"id": number, "name": "n", "x": number % 2 or None} for number in range(5)]
    contract = contract_after(EARLIER, "drop_rows")
    page = decode(contract, rows)
    assert page.frame["id"].to_list() == [0, 2, 4]
    expected = "the field 'x' has a value, and it is a new column"
    assert reasons(page) == [(1, expected), (3, expected)]
    assert [item.record for item in page.skipped] == [rows[1], rows[3]]
    assert contract.left_out == {"x"}


def test_records_with_a_value_of_another_type_are_skipped_with_their_place() -> None:
    rows: Rows = [{"id": 1, "x": 1}, {"id": 2}, {"id": "three"}, {"id": 4}, {"id": 5, "x": 1}]
    page = decode_rows(contract_after(EARLIER, "drop_rows"), rows)
    assert page.frame["id"].to_list() == [2, 4]
    assert [index for index, _ in reasons(page)] == [0, 2, 4]
    assert [item.record for item in page.skipped] == [rows[0], rows[2], rows[4]]


def test_records_that_could_not_be_read_stay_rejected() -> None:
    rows: list[Any] = ["text", {"id": 1, "x": 1}, {}, {"id": 2}]
    for mode in ("drop_columns", "drop_rows"):
        page = decode_rows(contract_after(EARLIER, mode), rows)
        assert [item.index for item in page.rejected] == [0, 2]


def native(**types: str) -> NativeTable:
    return NativeTable({name: NativeColumn(kind) for name, kind in types.items()})


def test_frozen_columns_refuse_another_declared_type() -> None:
    schema, frame = StreamSchema(), pl.DataFrame({"id": ["1"]})
    schema.decode_frame(frame, native(id="integer"))
    for mode in ("freeze", "drop_rows"):
        contract = ColumnContract(schema.pin(), mode)
        assert contract.decode_frame(frame, native(id="integer")).frame.height == 1
        with pytest.raises(
            ContractError, match="the column 'id' was integer and is timestamp with time zone now"
        ):
            contract.decode_frame(frame, native(id="timestamp with time zone"))
    with pytest.raises(ContractError, match="the column 'id' was integer and is bigint now"):
        ColumnContract(schema.pin(), "freeze").decode_frame(frame, native(id="bigint"))


def make_run(
    make_rehearsal: MakeRehearsal, database: SourceDatabase, contract: Contract, **modes: Any
) -> Rehearsal:
    """Return a pipeline that has copied a table, to which a column was added afterwards."""
    database.execute(
        "DROP TABLE IF EXISTS people",
        "CREATE TABLE people (n int PRIMARY KEY, mail text)",
        "INSERT INTO people SELECT n, 'p' || n FROM generate_series(1, 500) n",
    )
    config = {**database.config, "page_size": 50, "snapshot": "paged"}
    run = make_rehearsal(config, source_kind="postgres", stream="people", **modes)
    run.spec = replace(run.spec, allow_private_networks=True)
    assert isinstance(run.attempt(), Succeeded)
    database.execute(
        "ALTER TABLE people ADD phone text", "UPDATE people SET phone = 'x' WHERE n > 490"
    )
    return next_run(run, contract)


def next_run(run: Rehearsal, contract: Contract) -> Rehearsal:
    run.start_new_run()
    run.spec = replace(run.spec, contract=contract)
    return run


def test_a_run_whose_columns_are_frozen_fails_and_publishes_nothing(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "freeze")
    before = published(run)
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.CONTRACT, False)
    assert outcome.message.startswith(f"{COLUMNS_CHANGED}: there are new columns, 'phone'.")
    assert published(run) == before
    assert isinstance(next_run(run, "evolve").attempt(), Succeeded)
    assert {tuple(row) for row in published(run)} == {("n", "mail", "phone")}
    assert isinstance(next_run(run, "freeze").attempt(), Succeeded), "the column is known now"


def test_a_new_column_stays_left_out_and_the_log_names_it(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "drop_columns")
    for _ in range(2):
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
        assert (outcome.written, outcome.rejected, outcome.skipped) == (500, 0, 0)
        assert {tuple(row) for row in published(run)} == {("n", "mail")}
        told = [line for line in run.log if "left out by the contract: 'phone'" in line.message]
        assert [line.level for line in told] == ["warning"]
        next_run(run, "drop_columns")


def test_skipped_rows_are_counted_once_after_a_kill(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "drop_rows")
    outcome = run.kill_and_resume()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.skipped, outcome.rejected) == (500, 490, 10, 0)
    assert [row["n"] for row in published(run)] == [*range(1, 491)]


def test_another_contract_begins_a_new_sync(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "drop_columns")
    run.attempt_with_kill("checkpoint done 1")
    assert run.child_was_killed
    run.spec = replace(run.spec, contract="evolve")
    assert isinstance(run.attempt(), Succeeded)
    assert any("the code has changed" in line.message for line in run.log)
    assert {tuple(row) for row in published(run)} == {("n", "mail", "phone")}


def test_an_incremental_stream_keeps_its_columns_and_goes_on(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "evolve")
    incremental = replace(run.spec.source, sync_mode="incremental", cursor_field="n")
    run.spec = replace(
        run.spec, source=incremental, destination=replace(run.spec.destination, write_mode="append")
    )
    assert isinstance(run.attempt(), Succeeded)
    database.execute(
        "ALTER TABLE people ADD age int",
        "INSERT INTO people VALUES (501, 'a', 'b', NULL), (502, 'c', 'd', 5)",
    )
    outcome = next_run(run, "drop_rows").attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.written, outcome.skipped) == (1, 1)
    outcome = next_run(run, "evolve").attempt()
    assert isinstance(outcome, Succeeded)
    assert outcome.read == 0, "what was skipped is not read again"


def test_a_renamed_column_is_allowed_by_its_rule(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run(make_rehearsal, database, "freeze")
    rules = FieldRules((FieldRule("mail", name="email"), FieldRule("phone")))
    run.spec = replace(run.spec, fields=rules)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert {frozenset(row) for row in published(run)} == {frozenset({"n", "email", "phone"})}
