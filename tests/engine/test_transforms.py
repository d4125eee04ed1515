"""Python transforms: their results for records of every type, their isolation, and their failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from apps.engine.authoring import transforms
from apps.engine.contract import CodeSpec, Failed, SandboxSpec, Succeeded
from apps.engine.failures import EngineError, FailureClass
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.connector import frame_page, rows_page
from apps.engine.sync.transforms import Transform, TransformFailed
from tests.engine.conftest import Rehearsal
from tests.engine.sources.test_custom import PAGES, custom

Rehearse = Callable[..., Rehearsal]
SAME = "def transform(record):\n    return record\n"
TYPED = {
    "text": ["a", "é\0😀", ""],
    "whole": [1, -(2**62), None],
    "part": [1.5, 0.1, None],
    "yes": [True, False, None],
    "exact": [Decimal("12345678901234567890.123456789"), Decimal("0E-9"), None],
    "day": [date(1, 1, 1), date(2026, 11, 27), None],
    "moment": [*map(datetime.fromisoformat, ("2026-11-27T01:02:03.456789", "1969-07-20")), None],
    "instant": [datetime(2026, 11, 27, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None],
    "hour": [time(23, 59, 59, 999999), time(0), None],
    "raw": [b"\x00\xff", b"", None],
}


@contextmanager
def transform(code: str, tmp_path: Path, **limits: Any) -> Iterator[Transform]:
    report = transforms.validate(code)
    assert report.is_valid, report.messages
    with Transform(CodeSpec(code), SandboxSpec(home=str(tmp_path), limits=limits)) as made:
        yield made


def rows_of(page: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = page.rows
    return rows


def test_records_of_a_frame_keep_their_types_on_the_way(tmp_path: Path) -> None:
    frame = pl.DataFrame(TYPED)
    with transform(SAME, tmp_path) as same:
        page = same.apply(frame_page(frame, {"after": 1}, {"seen": 2}))
    assert rows_of(page) == frame.to_dicts()
    assert (page.next_pagination, page.next_state) == ({"after": 1}, {"seen": 2})
    before, after = StreamSchema(), StreamSchema()
    before.conform(frame)
    after.decode(rows_of(page))
    assert before.fields() == after.fields()


def test_records_of_a_source_of_objects_keep_their_types_too(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "d": date(2026, 1, 1),
            "mixed": date(2026, 1, 1),
            "nested": {"a": [1, None]},
            "big": 2**70,
        },
        {"d": None, "mixed": "text", "nested": None, "big": 1},
        {"other": Decimal("1.10")},
    ]
    with transform(SAME, tmp_path) as same:
        made = rows_of(same.apply(rows_page(rows, {})))
    assert made[0] == {**rows[0], "mixed": "2026-01-01", "big": str(2**70)}
    assert made[1:] == rows[1:]


def test_the_code_sees_values_of_python_and_may_drop_or_multiply_records(tmp_path: Path) -> None:
    code = """
from datetime import date, timedelta
from decimal import Decimal

def transform(record):
    if record["id"] == 1:
        return None
    if record["id"] == 2:
        return [{**record, "part": n} for n in range(3)]
    assert type(record["day"]) is date and type(record["price"]) is Decimal
    record["day"] += timedelta(days=1)
    record["price"] *= 2
    return record
"""
    frame = pl.DataFrame(
        {
            "id": [1, 2, 3],
            "day": [date(2026, 12, 31)] * 3,
            "price": [Decimal("1.25")] * 3,
        }
    )
    with transform(code, tmp_path) as made:
        rows = rows_of(made.apply(frame_page(frame, {})))
        assert (made.received, made.returned) == (3, 4)
    assert [row["id"] for row in rows] == [2, 2, 2, 3]
    assert rows[3] == {"id": 3, "day": date(2027, 1, 1), "price": Decimal("2.50")}


def test_a_generator_gives_each_record_it_yields(tmp_path: Path) -> None:
    code = """
def transform(record):
    for line in record["lines"]:
        yield {"order": record["id"], **line}
"""
    rows = [{"id": 7, "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": 8, "lines": []}]
    with transform(code, tmp_path) as made:
        assert rows_of(made.apply(rows_page(rows, {}))) == [
            {"order": 7, "sku": "a"},
            {"order": 7, "sku": "b"},
        ]


def test_more_records_than_a_slice_keep_their_order(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(9_001)})
    with transform("def transform(r):\n    return {'m': r['n'] * 2}", tmp_path) as made:
        rows = rows_of(made.apply(frame_page(frame, {})))
    assert [row["m"] for row in rows] == list(range(0, 18_002, 2))


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    frame = pl.DataFrame(schema={"id": pl.Int64})
    with transform(SAME, tmp_path) as same:
        assert same.apply(frame_page(frame, {})).frame.columns == ["id"]  # type: ignore[attr-defined]


WRONG = {
    "raises": ("def transform(r):\n    return r['missing']", "KeyError: 'missing'"),
    "answers a number": ("def transform(r):\n    return 7", "not int"),
    "answers a list of numbers": ("def transform(r):\n    return [7]", "not int"),
    "cannot be written": ("def transform(r):\n    return {'a': object()}", "object cannot be part"),
    "takes memory": ("def transform(r):\n    return bytes(3 << 30)", "memory"),
    "exits": ("import os\ndef transform(r):\n    os._exit(3)\n    return r", "exit status 3"),
    "does not load": ("import json\njson.nothing\ndef transform(r):\n    return r", "nothing"),
    "floods": (
        "def transform(r):\n    while True:\n        yield {'a': 'x' * 1000}",
        "bytes of one answer",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_transform_is_reported(name: str, tmp_path: Path) -> None:
    code, says = WRONG[name]
    with (
        transform(code, tmp_path, page=4 << 20) as made,
        pytest.raises(EngineError) as failed,
    ):
        made.apply(rows_page([{"id": 1}], {}))
    assert says in failed.value.message + " ".join(failed.value.evidence)
    assert failed.value.failure_class is FailureClass.CONTRACT
    assert not failed.value.retryable


def test_the_record_it_fell_over_and_the_line_are_evidence(tmp_path: Path) -> None:
    code = "def transform(record):\n    return {'n': int(record['n'])}\n"
    with transform(code, tmp_path) as made, pytest.raises(TransformFailed) as failed:
        made.apply(rows_page([{"n": "1"}, {"n": "zwei"}], {}))
    assert "line 2" in failed.value.evidence[0]
    assert "{'n': 'zwei'}" in failed.value.evidence[1]


def test_it_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    code = "import time\ndef transform(r):\n    time.sleep(30)\n    return r"
    with transform(code, tmp_path, silence_seconds=0.5) as made, pytest.raises(EngineError) as late:
        made.apply(rows_page([{"id": 1}], {}))
    assert late.value.failure_class is FailureClass.TIMEOUT


def test_it_has_no_network_no_secrets_and_no_files(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    code = f"""
import os, socket

def tried(what):
    try:
        return str(what())
    except Exception as error:
        return type(error).__name__

def transform(record):
    return {{
        "net": tried(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
        "file": tried(lambda: open({str(tmp_path / "secret.txt")!r}).read()),
        "key": tried(lambda: os.environ["SECRET_KEY"]),
    }}
"""
    with transform(code, tmp_path) as made:
        (row,) = rows_of(made.apply(rows_page([{"id": 1}], {})))
    assert row["key"] == "KeyError"
    assert row["file"] in {"PermissionError", "FileNotFoundError"}
    assert "canary" not in str(row)
    assert "Error" in row["net"] or row["net"] == "EgressRefused"


def changed(run: Rehearsal, code: str, tmp_path: Path) -> Rehearsal:
    run.spec = replace(run.spec, transform=CodeSpec(code), sandbox=SandboxSpec(home=str(tmp_path)))
    return run


def published(run: Rehearsal) -> list[Any]:
    return [json.loads(line) for line in (run.folder / "published.jsonl").read_text().splitlines()]


def test_a_run_writes_transformed_records_and_logs_their_number(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    run = rehearse({"rows": 1000}, source_kind="dummy", stream="generated")
    code = "def transform(r):\n    print('seen', r['id']) if r['id'] == 5 else None\n    return {'n': r['id']} if r['id'] % 2 else None"
    outcome = changed(run, code, tmp_path).attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written) == (500, 500)
    assert sorted(row["n"] for row in published(run)) == list(range(1, 1000, 2))
    assert {event.total for event in run.progress} == {None}, "the source counts other records"
    said = [line.message for line in run.log]
    assert "The transform returned 500 records for 1,000" in said
    assert "seen 5" in said


def test_a_killed_run_continues_and_transforms_no_record_twice(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    run = custom(rehearse({"pause": 0.01}), PAGES, tmp_path)
    changed(run, "def transform(r):\n    return [r, {'n': -r['n'] - 1}]", tmp_path)
    outcome = run.resume()
    assert isinstance(outcome, Succeeded), outcome
    assert sorted(row["n"] for row in published(run)) == list(range(-2000, 2000))


def test_a_failing_transform_fails_the_run_with_its_class(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    run = rehearse({"rows": 10}, source_kind="dummy", stream="generated")
    outcome = changed(run, "def transform(r):\n    return r['nope']", tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONTRACT
    assert "KeyError" in outcome.message
    assert not outcome.retryable


WRITES = """
import threading

def write():
    for n in range(8):
        with open(f"{n}", "wb") as file:
            file.write(bytes(1 << 20))

def transform(record):
    if record["n"] == 0:
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        WAIT
    return record
"""


@pytest.mark.parametrize(("pages", "wait"), [(1, "writer.join()"), (2, "pass")])
def test_a_transform_that_writes_too_much_fails_the_run_after_its_last_page(
    pages: int, wait: str, rehearse: Rehearse, tmp_path: Path
) -> None:
    """On the last page, and while the source waits between two pages."""
    slow = PAGES.replace("page < 99", f"page < {pages - 1}")
    slow = slow.replace("time.sleep(", "page and time.sleep(")
    run = custom(rehearse({"pause": 1.5}), slow, tmp_path)
    run = changed(run, WRITES.replace("WAIT", wait), tmp_path)
    run.spec = replace(run.spec, sandbox=SandboxSpec(home=str(tmp_path), limits={"disk": 2 << 20}))
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "more than 2,097,152 bytes of files" in outcome.message
    assert outcome.failure_class is FailureClass.CONTRACT
    assert not outcome.retryable


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "Define a function transform"),
        ("x = 1", "Define a function transform"),
        ("class transform:\n    pass", "Define a function transform"),
        ("async def transform(r):\n    return r", "plain function"),
        ("def transform():\n    return {}", "must take one argument"),
        ("def transform(a, b):\n    return a", "must take one argument"),
        ("def transform(a, *, b):\n    return a", "must take one argument"),
        ("def transform(r):\n    r['a'] = 1", "drops every record"),
        (
            "def transform(r):\n    def f():\n        return 1\n    return None",
            "drops every record",
        ),
        (
            "import nothing_like_it\ndef transform(r):\n    return r",
            "cannot import nothing_like_it",
        ),
        ("def transform(r:\n    return r", "Syntax error"),
        ("(" * 5000, "Syntax error"),
    ],
)
def test_code_that_cannot_work_is_reported_with_its_line(code: str, says: str) -> None:
    report = transforms.validate(code)
    assert not report.is_valid
    assert any(says in one.message for one in report.messages), report.messages
    assert all(one.line >= 1 and one.column >= 1 for one in report.messages)


@pytest.mark.parametrize(
    "code",
    [
        SAME,
        "def transform(record, *, deep=True):\n    yield record",
        "def transform(*records):\n    return records[0]",
        "transform = dict",
        "def transform(record):\n    raise ValueError(record)",
    ],
)
def test_what_can_work_is_let_through(code: str) -> None:
    assert transforms.validate(code).is_valid


def test_a_client_of_the_network_is_warned_of() -> None:
    report = transforms.validate("import requests\n" + SAME)
    assert report.is_valid
    assert "no network" in report.messages[0].message
