"""Rejected records are kept whole, and are sent again once: through the rules of today, and whatever is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson
import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.contract import (
    CodeSpec,
    Failed,
    KeptRecords,
    PublishRules,
    StorageRoot,
    Succeeded,
)
from apps.engine.field_rules import FieldRule, FieldRules
from apps.engine.frames.contracts import ColumnContract
from apps.engine.frames.decoding import StreamSchema
from apps.engine.frames.json_numbers import JsonNumber
from apps.engine.frames.kept_records import KeptRecord, kept_text, read_kept
from apps.engine.frames.left_out import LeftOutRecord
from apps.engine.sources.base import RowsIteration
from apps.engine.sources.connector import rows_page
from apps.engine.sync import state
from apps.engine.sync.batches import BatchBuilder
from apps.engine.sync.fields import FieldChanges
from apps.engine.sync.pages import QueuedPage
from local.database.postgres import EmbeddedPostgres
from tests.corpora.test_accounting import read_kept as read_files
from tests.corpora.test_accounting import upload
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import published_ids
from tests.engine.runs.test_real_destinations import postgres_settings

MakeRehearsal = Callable[..., Rehearsal]
SECRET = "the secret of an organization"
AS_INTEGER = FieldRules((FieldRule("n", type="integer"),), hash_secret=SECRET)
AS_TEXT = FieldRules((FieldRule("n", name="n_text", type="string"),), hash_secret=SECRET)
LINES = '{"id": 1, "n": "1"}\n{"id": 2, "n": "x"}\n{"id": 3, "n": "y", "big": 1.50}\n{"id": 4, "n": "4"}\n'


@pytest.fixture
def make_pipeline(
    make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres
) -> Callable[..., Rehearsal]:
    """Return a function that creates a pipeline from uploaded JSON Lines, of which two of four records are rejected."""

    def build(kind: str = "postgres", *, mode: str = "append", **values: Any) -> Rehearsal:
        settings = postgres_settings(engine_postgres) if kind == "postgres" else {}
        run = make_rehearsal(
            {"path": "lines.jsonl"},
            settings,
            source_kind="files",
            destination_kind=kind,
            stream="lines",
            write_mode=mode,
            primary_key=("id",) if mode == "merge" else (),
        )
        table = f"lines_{run.spec.run_id[:8]}"
        run.spec = replace(
            run.spec,
            destination=replace(run.spec.destination, table=table),
            allow_private_networks=True,
            rules=PublishRules(max_rejected_share=1.0),
            fields=AS_INTEGER,
            left_out=StorageRoot(f"file://{run.folder}", f"org/x/run/{run.spec.run_id}"),
        )
        run.spec = replace(run.spec, **values)
        upload(run, LINES)
        return run

    return build


def replay(run: Rehearsal, count: int = 2, **values: Any) -> None:
    """Let the next attempt be that of a new run, which sends the rejected records of this run again."""
    root = run.spec.left_out
    assert root is not None
    kept = KeptRecords(run.spec.run_id, root, count)
    run.start_new_run()
    own_root = replace(root, prefix=f"org/x/run/{run.spec.run_id}")
    run.spec = replace(run.spec, replay=kept, left_out=own_root, **values)


def counts(outcome: Any) -> tuple[int, int, int]:
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.read == outcome.written + outcome.rejected + outcome.skipped
    return outcome.read, outcome.written, outcome.rejected


def rows_of(run: Rehearsal, server: EmbeddedPostgres, *columns: str) -> list[tuple[Any, ...]]:
    query = f"SELECT {', '.join(columns)} FROM arrivals.{run.spec.destination.table} ORDER BY id"
    with psycopg.connect(server.url()) as connection:
        return connection.execute(query.encode()).fetchall()


def read_arrived(run: Rehearsal, server: EmbeddedPostgres, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table in PostgreSQL or in the DuckDB file of the run."""
    if run.spec.destination.kind == "postgres":
        return rows_of(run, server, *columns)
    query = f"SELECT {', '.join(columns)} FROM {run.spec.destination.table} ORDER BY id"
    with duckdb.connect(str(run.folder / run.outputs[0].key)) as connection:
        return connection.execute(query).fetchall()


def test_rejected_records_are_sent_through_the_rules_of_today(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres
) -> None:
    run = make_pipeline()
    assert counts(run.attempt()) == (4, 2, 2)
    replay(run, fields=AS_TEXT)
    assert counts(run.attempt()) == (2, 2, 0)
    assert rows_of(run, engine_postgres, "id", "n", "n_text") == [
        (1, 1, None),
        (2, None, "x"),
        (3, None, "y"),
        (4, 4, None),
    ]


def numbered(otherwise: str) -> CodeSpec:
    """A transform that makes integers of digits, and something else of other texts."""
    digits = "{**record, 'n': int(record['n'])}"
    code = f"return {digits} if record['n'].isdigit() else {otherwise}"
    return CodeSpec(f"def transform(record):\n    {code}\n")


def test_records_that_are_rejected_again_are_kept_with_the_new_reason(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres
) -> None:
    run = make_pipeline(fields=FieldRules(), transform=numbered("{}"))
    assert counts(run.attempt()) == (4, 2, 2)
    first = read_files(run, "rejected")
    assert {record["reason"] for record in first} == {"the record has no fields"}
    replay(run, transform=numbered("{**record, 'n': 7 if record['n'] == 'x' else 'y'}"))
    assert counts(run.attempt()) == (2, 1, 1)
    assert rows_of(run, engine_postgres, "id", "n") == [(1, 1), (2, 7), (4, 4)]
    (again,) = read_files(run, "rejected")
    assert again["reason"].startswith("the field 'n' has the value 'y', and its column is")

    replay(run, 1, transform=numbered("{**record, 'n': 0}"))
    assert counts(run.attempt()) == (1, 1, 0)
    assert rows_of(run, engine_postgres, "id", "n", "big")[2] == (3, 0, Decimal("1.50"))


def test_large_rejected_records_are_kept_in_files_of_limited_size(
    make_pipeline: Callable[..., Rehearsal],
) -> None:
    run = make_pipeline()
    lines = [{"id": number, "n": "x", "text": "t" * 900_000} for number in range(12)]
    upload(run, "\n".join(orjson.dumps(line).decode() for line in [{"id": 99, "n": "1"}, *lines]))
    assert counts(run.attempt()) == (13, 1, 12)
    sizes = [file.stat().st_size for file in run.folder.rglob("left-out/**/*.jsonl")]
    assert max(sizes) <= 4 << 20, sizes

    replay(run, 12, fields=AS_TEXT)
    assert counts(run.attempt()) == (12, 12, 0)


def test_kept_records_count_as_bytes_of_the_run(make_pipeline: Callable[..., Rehearsal]) -> None:
    """Otherwise a stream whose records are all rejected would fill storage without counting for the org's limit."""
    run = make_pipeline()
    lines = [{"id": number, "n": "x", "text": "t" * 1000} for number in range(100)]
    upload(run, "\n".join(orjson.dumps(line).decode() for line in lines))
    outcome = run.attempt()
    assert counts(outcome) == (100, 0, 100)
    assert isinstance(outcome, Succeeded)
    stored = sum(file.stat().st_size for file in run.folder.rglob("left-out/**/*.jsonl"))
    assert 0 < stored <= outcome.bytes


def test_a_record_with_a_secret_at_any_depth_is_not_kept_whole(
    make_pipeline: Callable[..., Rehearsal],
) -> None:
    secret = 'the "quoted" secret'
    run = make_pipeline(fields=replace(AS_INTEGER, hash_secret=secret))
    lines = [{"id": 1, "n": "x", "a": {"b": [secret]}}, {"id": 2, "n": "y"}, {"id": 3, "n": "1"}]
    upload(run, "\n".join(orjson.dumps(line).decode() for line in lines))
    assert counts(run.attempt()) == (3, 1, 2)
    (file,) = run.folder.rglob("left-out/**/*.jsonl")
    kept = [orjson.loads(line)["kept"] for line in file.read_bytes().splitlines()]
    assert [text is None for text in kept] == [True, False]
    assert "quoted" not in file.read_text()


def test_a_record_that_the_transform_has_split_cannot_be_sent_again(
    make_pipeline: Callable[..., Rehearsal],
) -> None:
    """The records beside it have arrived, and would arrive again."""
    run = make_pipeline(fields=FieldRules(), transform=numbered("[{'id': record['id']}, {}]"))
    assert counts(run.attempt()) == (6, 4, 2)
    assert [record["kept"] for record in read_files(run, "rejected")] == [None, None]


def test_records_are_sent_once_whichever_run_sends_them(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres
) -> None:
    run = make_pipeline()
    run.attempt()
    replay(run, fields=AS_TEXT)
    assert counts(run.attempt()) == (2, 2, 0)
    for _ in range(2):  # once more, by the same run and by another one
        assert counts(run.attempt()) == (2, 2, 0)
        run.start_new_run()
    assert len(rows_of(run, engine_postgres, "id")) == 4


MOMENTS = ["page 1", "checkpoint done 1", "publish 1", "finish 1", "finish done 1"]


@pytest.mark.sample(3)
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("next_run", ["same", "another"])
def test_a_killed_replay_doubles_no_row(
    make_pipeline: Callable[..., Rehearsal],
    engine_postgres: EmbeddedPostgres,
    moment: str,
    next_run: str,
) -> None:
    run = make_pipeline()
    run.attempt()
    replay(run, fields=AS_TEXT)
    outcome = run.attempt_with_kill(moment)
    assert run.child_was_killed
    assert isinstance(outcome, Failed) or moment == "finish done 1"
    if next_run == "another":
        run.start_new_run()
    assert counts(run.attempt()) == (2, 2, 0)
    assert rows_of(run, engine_postgres, "id", "n_text") == [
        (1, None),
        (2, "x"),
        (3, "y"),
        (4, None),
    ]


def test_a_replay_that_was_published_is_done_although_the_rules_have_changed(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres
) -> None:
    run = make_pipeline()
    run.attempt()
    replay(run, fields=AS_TEXT)
    run.attempt_with_kill("finish 1")
    run.start_new_run()
    run.spec = replace(run.spec, fields=FieldRules())
    assert counts(run.attempt()) == (2, 2, 0)
    assert [row[0] for row in rows_of(run, engine_postgres, "id")] == [1, 2, 3, 4]


def test_a_replay_of_another_run_does_not_forget_what_was_published(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres
) -> None:
    run = make_pipeline()
    run.attempt()
    first = run.spec
    assert first.left_out is not None
    run.start_new_run()
    root = replace(first.left_out, prefix=f"org/x/run/{run.spec.run_id}")
    run.spec = replace(run.spec, left_out=root)
    run.attempt()
    second = run.spec
    for spec, moment in ((first, "finish 1"), (second, "checkpoint done 1")):
        run.spec = replace(spec, attempt=0)
        replay(run, fields=AS_TEXT)
        run.attempt_with_kill(moment)
        assert run.child_was_killed
    for spec in (first, second, first, second):
        run.spec = replace(spec, attempt=0)
        replay(run, fields=AS_TEXT)
        assert counts(run.attempt()) == (2, 2, 0)
    assert [row[0] for row in rows_of(run, engine_postgres, "id")] == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize("kind", ["postgres", pytest.param("duckdb", marks=pytest.mark.long)])
def test_merging_keeps_rows_that_are_newer(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres, kind: str
) -> None:
    run = make_pipeline(kind, mode="merge")
    upload(
        run,
        '{"id": 1, "n": "x", "seen": 5}\n{"id": 2, "n": "y", "seen": 5}\n{"id": 3, "n": "3", "seen": 1}\n',
    )
    run.attempt()
    first = run.spec
    upload(run, '{"id": 1, "n": "10", "seen": 6}\n{"id": 2, "n": "20", "seen": 4}\n')
    run.start_new_run()
    run.attempt()

    run.spec = replace(first, attempt=0)
    destination = replace(first.destination, newest_by="seen")
    replay(run, fields=AS_TEXT, destination=destination)
    assert counts(run.attempt()) == (2, 2, 0)
    assert read_arrived(run, engine_postgres, "id", "n", "n_text", "seen") == [
        (1, 10, None, 6),
        (2, 20, "y", 5),
        (3, 3, None, 1),
    ]


@pytest.mark.parametrize("kind", ["duckdb", "jsonl", "csv", "parquet", "ledger"])
def test_records_are_appended_once_to_every_destination(
    make_pipeline: Callable[..., Rehearsal], kind: str
) -> None:
    run = make_pipeline(kind)
    run.attempt()
    replay(run, fields=AS_TEXT)
    run.attempt_with_kill("finish 1")
    assert arrived_ids(run) == [1, 2, 3, 4]
    run.start_new_run()
    assert counts(run.attempt()) == (2, 2, 0)
    assert arrived_ids(run) == [1, 2, 3, 4], "nothing was published once more"


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "duckdb"])
@pytest.mark.parametrize("moment", ["publish done 1", "finish done 1"])
def test_a_later_replay_lists_the_files_of_one_that_was_killed_before_it_reported_them(
    make_pipeline: Callable[..., Rehearsal], kind: str, moment: str
) -> None:
    run = make_pipeline(kind)
    run.attempt()
    files_of_first = {output.key for output in run.outputs}
    replay(run, fields=AS_TEXT)
    run.attempt_with_kill(moment)
    assert run.child_was_killed
    run.start_new_run()
    assert counts(run.attempt()) == (2, 2, 0)
    assert len(run.outputs) == 1
    (output,) = run.outputs
    assert (output.key in files_of_first) == (kind == "duckdb")
    assert (run.folder / output.key).exists()


def arrived_ids(run: Rehearsal) -> list[int]:
    """Return the ids of the rows in the destination."""
    kind = run.spec.destination.kind
    if kind == "ledger":
        return sorted(published_ids(run.folder))
    if kind == "duckdb":
        with duckdb.connect(str(run.folder / run.outputs[0].key)) as connection:
            rows = connection.execute(f"SELECT id FROM {run.spec.destination.table}").fetchall()
        return sorted(number for (number,) in rows)
    files = (run.folder / run.spec.data.prefix).rglob(f"*.{kind}")
    return sorted(number for file in files for number in read_file(file)["id"])


def read_file(file: Path) -> pl.DataFrame:
    if file.suffix == ".parquet":
        return pl.read_parquet(file)
    return pl.read_csv(file) if file.suffix == ".csv" else pl.read_ndjson(file)


def test_a_replay_neither_reads_nor_moves_the_saved_position(
    make_rehearsal: MakeRehearsal, state_dsn: str
) -> None:
    run = make_rehearsal(
        {"rows": 200, "page_size": 100}, sync_mode="incremental", write_mode="append"
    )
    code = CodeSpec("def transform(record):\n    return {} if record['id'] == 7 else record\n")
    run.spec = replace(run.spec, transform=code, rules=PublishRules(max_rejected_share=1.0))
    assert counts(run.attempt()) == (200, 199, 1)
    before = state.read_state(state_dsn, run.spec.stream_key)
    live_source, key = run.spec.source, run.spec.stream_key
    replay(run, 1, transform=None, source=replace(live_source, sync_mode="full_refresh"))
    assert counts(run.attempt()) == (1, 1, 0)
    assert published_ids(run.folder).count(7) == 1
    assert state.read_state(state_dsn, key) == before


def test_nothing_is_appended_to_a_table_that_the_next_run_fills_from_the_beginning(
    make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres, state_dsn: str
) -> None:
    run = make_rehearsal(
        {"rows": 20},
        postgres_settings(engine_postgres),
        destination_kind="postgres",
        sync_mode="incremental",
        write_mode="append",
    )
    code = CodeSpec("def transform(record):\n    return {} if record['id'] == 7 else record\n")
    run.spec = replace(
        run.spec,
        transform=code,
        rules=PublishRules(max_rejected_share=1.0),
        allow_private_networks=True,
    )
    assert counts(run.attempt()) == (20, 19, 1)
    first, table = run.spec, f"{run.spec.destination.table}_2"
    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        admin.execute(f"CREATE TABLE arrivals.{table} (id bigint)".encode())
    changed = replace(first, transform=None, destination=replace(first.destination, table=table))
    run.spec = changed
    replay(run, 1, source=replace(first.source, sync_mode="full_refresh"))
    failed = run.attempt()
    run.start_new_run()
    run.spec = replace(changed, run_id=run.spec.run_id, lease=run.spec.lease, attempt=0)
    state.reset(state_dsn, run.spec.stream_key)
    assert counts(run.attempt()) == (20, 20, 0)
    assert rows_of(run, engine_postgres, "id") == [(number,) for number in range(1, 21)]
    assert isinstance(failed, Failed)
    assert "another table" in failed.message


def test_removed_records_fail_the_replay(make_pipeline: Callable[..., Rehearsal]) -> None:
    run = make_pipeline()
    run.attempt()
    replay(run, 3, fields=AS_TEXT)
    failed = run.attempt()
    assert isinstance(failed, Failed)
    assert not failed.retryable
    assert "were removed together with the log" in failed.message


def test_a_lost_table_is_not_created_anew(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres
) -> None:
    run = make_pipeline()
    run.attempt()
    with psycopg.connect(engine_postgres.url(), autocommit=True) as admin:
        admin.execute(f"DROP TABLE arrivals.{run.spec.destination.table}".encode())
    replay(run, fields=AS_TEXT)
    failed = run.attempt()
    assert isinstance(failed, Failed)
    assert "The table of the destination is gone" in failed.message


# What is kept

HIDING = FieldRules(
    (
        FieldRule("n", type="integer"),
        FieldRule("secret", drop=True),
        FieldRule("mail", name="contact", protect="hash"),
        FieldRule("card", protect="redact"),
    ),
    hash_secret=SECRET,
)
CANARY = "canary-4711"


def test_dropped_and_protected_values_are_kept_nowhere_and_arrive_as_before(
    make_pipeline: Callable[..., Rehearsal], engine_postgres: EmbeddedPostgres
) -> None:
    run = make_pipeline(fields=HIDING)
    record = {"id": 1, "n": "x", "secret": CANARY, "mail": CANARY, "card": CANARY}
    upload(
        run,
        "\n".join(orjson.dumps(each).decode() for each in (record, {**record, "id": 2, "n": "2"})),
    )
    assert counts(run.attempt()) == (2, 1, 1)
    kept = [file.read_text() for file in run.folder.rglob("left-out/**/*.jsonl")]
    assert len(kept) == 1
    assert CANARY not in kept[0]

    rules = replace(
        HIDING, rules=(replace(HIDING.rules[0], type="string", name="n2"), *HIDING.rules[1:])
    )
    replay(run, 1, fields=rules)
    assert run.spec.replay is not None
    run.spec = replace(run.spec, replay=replace(run.spec.replay, hashed=("mail",)))
    assert counts(run.attempt()) == (1, 1, 0)
    columns = ("contact", "card", "n2")
    (again, ordinary) = rows_of(run, engine_postgres, *columns)
    assert again[:2] == ordinary[:2]
    assert again[2] == "x"


def test_a_record_with_a_secret_of_the_settings_is_masked_and_cannot_be_sent_again(
    make_pipeline: Callable[..., Rehearsal],
) -> None:
    run = make_pipeline()
    secret = run.spec.destination.config["password"]
    upload(run, f'{{"id": 1, "n": "{secret}"}}\n{{"id": 2, "n": "x"}}\n{{"id": 3, "n": "3"}}\n')
    assert counts(run.attempt()) == (3, 1, 2)
    masked, whole = read_files(run, "rejected")
    assert secret not in str(masked)
    assert masked["kept"] is None
    assert whole["kept"] is not None


def test_a_record_that_cannot_be_read_shows_no_dropped_field(
    make_pipeline: Callable[..., Rehearsal],
) -> None:
    for rules in (HIDING, FieldRules((FieldRule("id"), FieldRule("n")), "drop", SECRET)):
        run = make_pipeline(fields=rules)
        lines = [
            f'{{"id": 1, "n": 1, "secret": "{CANARY}"',
            f'["{CANARY}"]',
            f'{{"id": 2, "id": 3, "secret": "{CANARY}"}}',
        ]
        upload(run, "\n".join(lines))
        assert counts(run.attempt()) == (3, 0, 3)
        kept = read_files(run, "rejected")
        assert [record["kept"] for record in kept] == [None] * 3
        assert CANARY not in str(kept)
        assert all(
            "lines.jsonl, line" in record["position"] or "page 1" in record["position"]
            for record in kept
        )


SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.times()
    | st.builds(JsonNumber, st.from_regex(r"[1-9][0-9]{0,20}\.[0-9]{1,20}0", fullmatch=True))
)
NESTED = st.lists(st.none() | st.integers(-(2**63), 2**63)) | st.dictionaries(
    st.text("abc"), st.text("abc")
)
VALUES = SIMPLE | NESTED


@given(st.dictionaries(st.text(), VALUES), st.booleans())
def test_kept_records_are_read_exactly(fields: dict[str, Any], is_of_frame: bool) -> None:
    record = KeptRecord(fields, is_of_frame)
    text = kept_text(record)
    assert text is not None
    found = read_kept(text)
    assert found == record
    assert [type(value) for value in found.fields.values()] == [
        type(value) for value in fields.values()
    ]
    assert [str(value) for value in found.fields.values()] == [
        str(value) for value in fields.values()
    ]


RECORDS: st.SearchStrategy[list[Any]] = st.lists(
    st.fixed_dictionaries({"n": st.none() | st.integers() | st.text(max_size=3) | NESTED})
    | st.just([])
    | st.just({"n": b"1"}),
    max_size=20,
)


def flow(rules: FieldRules, rows: list[Any]) -> tuple[list[Any], list[LeftOutRecord], int]:
    """Return the ids that a page writes by the rules, its rejected records, and how many they are."""
    page = FieldChanges(rules).apply(rows_page(rows, {}))
    assert isinstance(page, RowsIteration)
    builder = BatchBuilder(ColumnContract(StreamSchema()))
    queued = QueuedPage(
        0, None, page.rows, {}, None, 0, page.left_out, find_source=page.find_source
    )
    batches = [*builder.add(queued), *builder.take_all()]
    written = [row for batch in batches if batch.row_count for row in batch.frame["id"].to_list()]
    rejected = [record for batch in batches for record in batch.left_out.kept("rejected")]
    return written, rejected, sum(batch.left_out.count("rejected") for batch in batches)


@given(RECORDS)
def test_each_record_is_written_or_rejected_and_the_rejected_ones_are_written_later(
    records: list[Any],
) -> None:
    rows = [
        {**record, "id": number} if isinstance(record, dict) else record
        for number, record in enumerate(records)
    ]
    written, rejected, count = flow(AS_INTEGER, rows)
    assert len(written) + count == len(rows)
    kept = [dict(read_kept(record.kept).fields) for record in rejected if record.kept is not None]
    assert [row for row in rows if isinstance(row, dict) and row["id"] not in written] == kept

    assert flow(AS_INTEGER, kept)[0] == []
    again, _, count = flow(FieldRules((FieldRule("n", drop=True),)), kept)
    assert count == 0
    ids = [row["id"] for row in rows if isinstance(row, dict)]
    assert sorted(written + again) == ids
