"""The rules for fields: names, types and unreadable values, in frames and in rows, and in nothing that is stored."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bizon.source.models import SourceIteration, SourceRecord

from apps.engine.contract import CodeSpec, Failed, SandboxSpec, Succeeded
from apps.engine.failures import ConfigurationError, FailureClass
from apps.engine.field_rules import REDACTED, FieldRule, FieldRules
from apps.engine.frames.left_out import LeftOutRecords
from apps.engine.frames.native import NativeColumn, NativeTable
from apps.engine.sources.connector import frame_page, rows_page
from apps.engine.sync.fields import FieldChanges
from tests.engine.conftest import Rehearsal
from tests.engine.sources.conftest import SourceDatabase

MakeRehearsal = Callable[..., Rehearsal]
SECRET = "the secret of an organization"


def rules(*field_rules: FieldRule, others: Any = "keep") -> FieldRules:
    return FieldRules(field_rules, others, SECRET)


def hashed(value: str) -> str:
    return hmac.new(SECRET.encode(), value.encode(), "sha256").hexdigest()


def change_rows(rows: list[Any], *field_rules: FieldRule, others: Any = "keep") -> Any:
    return FieldChanges(rules(*field_rules, others=others)).apply(rows_page(rows, {}))


def change_frame(values: dict[str, Any], *field_rules: FieldRule, others: Any = "keep") -> Any:
    page = frame_page(pl.DataFrame(values), {})
    return FieldChanges(rules(*field_rules, others=others)).apply(page)


def test_fields_are_renamed_dropped_and_selected() -> None:
    drop, rename = FieldRule("b", drop=True), FieldRule("a", name="first")
    assert change_rows([{"a": 1, "b": 2, "c": 3}], drop, rename).rows == [{"first": 1, "c": 3}]
    assert change_frame({"a": [1], "b": [2], "c": [3]}, drop, rename).frame.to_dicts() == [
        {"first": 1, "c": 3}
    ]
    selected = change_rows([{"a": 1, "b": 2}], FieldRule("b"), others="drop")
    assert selected.rows == [{"b": 2}]
    assert change_frame({"a": [1], "b": [2]}, FieldRule("b"), others="drop").frame.columns == ["b"]


def test_two_fields_may_swap_their_names() -> None:
    swap = (FieldRule("a", name="b"), FieldRule("b", name="a"))
    assert change_rows([{"a": 1, "b": 2}], *swap).rows == [{"b": 1, "a": 2}]
    assert change_frame({"a": [1], "b": [2]}, *swap).frame.to_dicts() == [{"b": 1, "a": 2}]


@pytest.mark.parametrize("change", [change_rows, change_frame])
def test_a_name_that_another_field_has_fails(change: Any) -> None:
    values = [{"a": 1, "b": 2}] if change is change_rows else {"a": [1], "b": [2]}
    with pytest.raises(ConfigurationError, match="Two fields of a record would arrive as 'b'"):
        change(values, FieldRule("a", name="b"))


def test_a_stream_of_which_no_field_arrives_fails() -> None:
    with pytest.raises(ConfigurationError, match="No field of the stream arrives"):
        change_frame({"a": [1]}, others="drop")


def test_a_hash_is_the_same_for_equal_values_in_rows_and_in_frames() -> None:
    values = [
        *("a@example.com", 5, 1.0, 1.5, True, Decimal("1.50"), date(2024, 2, 29)),
        *(
            datetime(2024, 2, 29, 1, tzinfo=UTC),
            datetime.fromisoformat("2024-02-29T01:00"),
            b"\0",
            None,
        ),
    ]
    rule = FieldRule("v", protect="hash")
    in_rows = [change_rows([{"v": value}], rule).rows[0]["v"] for value in values]
    in_frames = [change_frame({"v": [value]}, rule).frame["v"][0] for value in values]
    assert in_rows == in_frames
    assert in_rows[0] == hashed("a@example.com")
    assert in_rows[1] == hashed("5") == change_rows([{"v": "5"}], rule).rows[0]["v"]
    assert in_rows[-1] is None
    assert len(set(in_rows)) == len(values)


def test_a_redacted_value_is_replaced_and_null_stays_null() -> None:
    rule = FieldRule("v", protect="redact")
    expected = [{"v": REDACTED, "id": 1}, {"v": None, "id": 2}]
    assert change_rows([{"v": 7, "id": 1}, {"v": None, "id": 2}], rule).rows == expected
    assert change_frame({"v": [7, None], "id": [1, 2]}, rule).frame.to_dicts() == expected


CASTS: list[tuple[Any, list[Any], list[Any]]] = [
    ("string", ["7", "1.50"], ["7", "1.50"]),
    ("integer", ["007", " 12.00 ", "+3", ""], [7, 12, 3, None]),
    ("number", ["1e3", "07.50", ".5"], [1000.0, 7.5, 0.5]),
    ("decimal", ["1.50", "20", "0.125"], [Decimal("1.5"), Decimal(20), Decimal("0.125")]),
    ("boolean", ["TRUE", "no", "1", None], [True, False, True, None]),
    ("date", ["2024-02-29", "2024-01-02T10:00:00Z"], [date(2024, 2, 29), date(2024, 1, 2)]),
    (
        "timestamp",
        ["2024-02-29", "2024-01-02 10:00:00.5"],
        [*map(datetime.fromisoformat, ("2024-02-29", "2024-01-02T10:00:00.500"))],
    ),
    (
        "timestamptz",
        ["2024-01-02T10:00:00Z", "2024-01-02 10:00-03:30"],
        [datetime(2024, 1, 2, 10, tzinfo=UTC), datetime(2024, 1, 2, 13, 30, tzinfo=UTC)],
    ),
]


@pytest.mark.parametrize(("to", "texts", "expected"), CASTS)
def test_texts_are_cast_to_the_chosen_type(to: Any, texts: list[Any], expected: list[Any]) -> None:
    rule = FieldRule("v", type=to)
    in_rows = change_rows([{"v": text} for text in texts], rule)
    assert [row["v"] for row in in_rows.rows] == expected
    assert change_frame({"v": texts}, rule).frame["v"].to_list() == expected


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("integer", "1.5"),
        ("integer", "9223372036854775808"),
        ("number", "NaN"),
        ("number", "1e999"),
        ("decimal", "123456789012345678901"),
        ("decimal", "0.1234567890123456789"),
        ("boolean", "maybe"),
        ("date", "2023-02-29"),
        ("date", "29/02/2024"),
        ("timestamp", "2024-01-02T10:00:00Z"),
        ("timestamptz", "2024-01-02T10:00:00"),
    ],
)
def test_a_record_with_a_value_of_another_type_is_rejected_and_its_neighbours_arrive(
    to: Any, text: str
) -> None:
    fitting = CASTS[[each[0] for each in CASTS].index(to)][1][0]
    rule = FieldRule("v", name="w", type=to)
    values = [fitting, text, fitting]
    for page in (
        change_rows([{"v": value, "id": n} for n, value in enumerate(values)], rule),
        change_frame({"v": values, "id": [0, 1, 2]}, rule),
    ):
        ids = (
            [row["id"] for row in page.rows]
            if hasattr(page, "rows")
            else page.frame["id"].to_list()
        )
        assert ids == [0, 2]
        (rejected,) = page.left_out.kept("rejected")
        assert json.loads(rejected.record) == {"w": text, "id": 1}
        assert rejected.position == "page 1, record 2"
        assert rejected.reason.startswith(
            f"the field 'v' has the value '{text}', and its column is"
        )


def test_a_rejected_record_shows_no_protected_value() -> None:
    mail = FieldRule("mail", protect="hash")
    amount = FieldRule("amount", type="integer")
    rows = [{"mail": "a@example.com", "amount": "x"}, "a@example.com", {"mail": "\ud800"}]
    page = change_rows(rows, mail, amount)
    assert page.rows == []
    assert page.left_out.count("rejected") == 3
    assert "example.com" not in str(page.left_out.kept("rejected"))


def test_records_that_the_source_left_out_show_no_protected_value() -> None:
    left_out = LeftOutRecords()
    reason = "the field 'mail' has the value 'a@example.com', and its column is text"
    left_out.add("rejected", {"mail": "a@example.com", "id": 7}, reason=reason, position="line 1")
    left_out.add("skipped", '{"mail": "a@example.com"', reason="not JSON", position="line 2")
    changes = FieldChanges(rules(FieldRule("mail", protect="redact")))
    page: Any = changes.apply(rows_page([], {}, None, left_out))
    (rejected,) = page.left_out.kept("rejected")
    assert json.loads(rejected.record) == {"mail": REDACTED, "id": 7}
    assert "example.com" not in str([rejected, *page.left_out.kept("skipped")])
    assert page.left_out.count("skipped") == 1


def test_records_of_bizon_are_changed_too() -> None:
    page = SourceIteration(next_pagination={}, records=[SourceRecord(id="1", data={"a": 1})])
    changed: Any = FieldChanges(rules(FieldRule("a", name="b"))).apply(page)
    assert changed.rows == [{"b": 1}]


def test_a_rewritten_column_has_no_native_type_and_a_renamed_column_keeps_it() -> None:
    native = NativeTable({name: NativeColumn("uuid") for name in ("a", "b", "c")})
    page = frame_page(pl.DataFrame({"a": ["x"], "b": ["y"], "c": ["z"]}), {}, native=native)
    changes = FieldChanges(
        rules(FieldRule("a", name="k"), FieldRule("b", protect="hash"), FieldRule("c", drop=True))
    )
    changed: Any = changes.apply(page)
    assert changed.native.type_of("k") == "uuid"
    assert changed.native.columns.keys() == {"k", "b"}
    assert changed.native.type_of("b") == ""


def test_a_position_with_a_protected_value_fails_before_it_is_stored() -> None:
    changes = FieldChanges(rules(FieldRule("mail", protect="hash")))
    rows: list[dict[str, Any]] = [{"mail": "a@example.com"}, {"mail": "b@example.com"}]
    with pytest.raises(ConfigurationError, match="'mail'"):
        changes.apply(rows_page(rows, {"after": ["b@example.com"]}))
    with pytest.raises(ConfigurationError, match="'mail'"):
        changes.apply(rows_page(rows, {}, {"cursor_field": "mail", "value": "b@example.com"}))
    with pytest.raises(ConfigurationError, match="'mail'"):
        changes.apply(rows_page(rows, {}, {"cursor_field": "n", "after": ["2", "b@example.com"]}))
    changes.apply(rows_page(rows, {"after": ["opaque"]}))
    changes.apply(rows_page(rows, {}, {"after": ["opaque"]}))


# Runs


def published(run: Rehearsal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "published.jsonl").read_text().splitlines()]


def make_run_of_people(
    make_rehearsal: MakeRehearsal, database: SourceDatabase, *field_rules: FieldRule, **modes: Any
) -> Rehearsal:
    database.execute(
        "DROP TABLE IF EXISTS people",
        "CREATE TABLE people (mail text PRIMARY KEY, n int, born date, paid text)",
        "INSERT INTO people SELECT 'p' || n || '@example.com', n, date '2000-01-01' + n, n || '.50' "
        "FROM generate_series(1, 500) n",
    )
    config = {**database.config, "page_size": 50, "snapshot": modes.pop("snapshot", "auto")}
    run = make_rehearsal(config, source_kind="postgres", stream="people", **modes)
    run.spec = replace(run.spec, allow_private_networks=True, fields=rules(*field_rules))
    return run


def everything_stored(run: Rehearsal, dsn: str) -> str:
    import psycopg

    files = [
        path.read_bytes().decode("latin-1") for path in run.folder.rglob("*") if path.is_file()
    ]
    with psycopg.connect(dsn) as connection:
        tables = (
            "stream_jobs",
            "source_cursors",
            "destination_cursors",
            "engine_job",
            "engine_batch",
        )
        rows = [connection.execute(f"select t::text from engine.{t} t").fetchall() for t in tables]
    return "\n".join([*files, str(rows), str(run.events)])


def test_protected_values_of_a_table_are_in_no_file_position_and_log(
    make_rehearsal: MakeRehearsal, database: SourceDatabase, state_dsn: str
) -> None:
    run = make_run_of_people(
        make_rehearsal,
        database,
        FieldRule("mail", name="person", protect="hash"),
        FieldRule("born", protect="redact"),
        FieldRule("paid", type="decimal"),
    )
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    rows = published(run)
    assert len(rows) == 500
    first = next(row for row in rows if row["n"] == 1)
    assert first["person"] == hashed("p1@example.com")
    assert first["born"] == REDACTED
    assert "@example.com" not in everything_stored(run, state_dsn)
    assert SECRET not in everything_stored(run, state_dsn)


def test_a_table_whose_key_is_protected_is_not_read_page_by_page(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    mail = FieldRule("mail", protect="hash")
    run = make_run_of_people(make_rehearsal, database, mail, snapshot="paged")
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert "no key whose values may be stored" in outcome.message


@pytest.mark.parametrize("key", ["mail", "n"])
def test_an_incremental_table_whose_key_is_protected_stores_no_position_with_the_key(
    make_rehearsal: MakeRehearsal, database: SourceDatabase, state_dsn: str, key: str
) -> None:
    run = make_run_of_people(
        make_rehearsal,
        database,
        FieldRule(key, protect="hash"),
        sync_mode="incremental",
        write_mode="append",
    )
    if key == "n":
        database.execute(
            "ALTER TABLE people DROP CONSTRAINT people_pkey",
            "ALTER TABLE people ADD PRIMARY KEY (n)",
        )
    run.spec = replace(run.spec, source=replace(run.spec.source, cursor_field="born"))
    outcome = run.attempt()
    assert isinstance(outcome, Failed), outcome
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert f"its key {key}" in outcome.message
    assert "@example.com" not in everything_stored(run, state_dsn)


def test_a_run_with_other_rules_starts_again(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run_of_people(make_rehearsal, database, FieldRule("n", name="m"), snapshot="paged")
    killed = run.attempt_with_kill("checkpoint done 1")
    assert run.child_was_killed, killed
    run.spec = replace(run.spec, fields=rules(FieldRule("n", name="k")))
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert {tuple(row) for row in published(run)} == {("mail", "k", "born", "paid")}
    assert any("the code has changed" in line.message for line in run.log)


def test_a_column_that_is_dropped_now_is_gone_after_a_full_refresh(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run_of_people(make_rehearsal, database)
    assert isinstance(run.attempt(), Succeeded)
    run.start_new_run()
    run.spec = replace(
        run.spec, fields=rules(FieldRule("born", drop=True), FieldRule("n", protect="hash"))
    )
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert {tuple(row) for row in published(run)} == {("mail", "n", "paid")}
    assert all(len(row["n"]) == 64 for row in published(run))


def test_an_incremental_stream_asks_for_a_reset_before_it_mixes_readable_and_hashed_values(
    make_rehearsal: MakeRehearsal, database: SourceDatabase
) -> None:
    run = make_run_of_people(make_rehearsal, database, sync_mode="incremental", write_mode="append")
    run.spec = replace(run.spec, source=replace(run.spec.source, cursor_field="n"))
    assert isinstance(run.attempt(), Succeeded)
    run.start_new_run()
    run.spec = replace(run.spec, fields=rules(FieldRule("paid", name="price")))
    assert isinstance(run.attempt(), Succeeded), "names may change without a reset"
    run.start_new_run()
    run.spec = replace(run.spec, fields=rules(FieldRule("mail", protect="hash")))
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert "Another protection of mail was chosen" in outcome.message


def test_a_transform_receives_the_changed_records_only(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = make_rehearsal({"rows": 3}, source_kind="dummy", stream="generated")
    code = "def transform(record):\n    return {'seen': str(sorted(record)), 'id': record['key']}\n"
    run.spec = replace(
        run.spec,
        transform=CodeSpec(code),
        sandbox=SandboxSpec(home=str(tmp_path)),
        fields=rules(FieldRule("id", name="key", protect="hash"), others="drop"),
    )
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert published(run) == [
        {"seen": "['key']", "id": hashed(str(number))} for number in (1, 2, 3)
    ]
