"""Python transforms: their results for each type of value, their isolation, and their failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from apps.engine.authoring import transforms
from apps.engine.contract import CodeSpec, Failed, SandboxSpec, Succeeded
from apps.engine.failures import EngineError, FailureClass
from apps.engine.frames.decoding import StreamSchema
from apps.engine.frames.texts import exact_text
from apps.engine.sources.connector import frame_page, rows_page
from apps.engine.sync.transforms import Transform, TransformFailed
from tests.engine.conftest import Rehearsal
from tests.engine.sources.test_custom import PAGES_CODE, set_custom_source

MakeRehearsal = Callable[..., Rehearsal]
IDENTITY_TRANSFORM = "def transform(record):\n    return record\n"
VALUES_BY_TYPE = {
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
def running_transform(code: str, tmp_path: Path, **limits: Any) -> Iterator[Transform]:
    report = transforms.validate(code)
    assert report.is_valid, report.messages
    with Transform(CodeSpec(code), SandboxSpec(home=str(tmp_path), limits=limits)) as transform:
        yield transform


def page_rows(page: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = page.rows
    return rows


def test_records_of_a_frame_keep_their_types(tmp_path: Path) -> None:
    frame = pl.DataFrame(VALUES_BY_TYPE)
    with running_transform(IDENTITY_TRANSFORM, tmp_path) as transform:
        page = transform.apply(frame_page(frame, {"after": 1}, {"seen": 2}))
    assert page_rows(page) == frame.to_dicts()
    assert (page.next_pagination, page.next_state) == ({"after": 1}, {"seen": 2})
    before, after = StreamSchema(), StreamSchema()
    before.conform(frame)
    after.decode(page_rows(page))
    assert before.fields() == after.fields()


def test_times_that_python_cannot_represent_become_text(tmp_path: Path) -> None:
    nanoseconds = pl.Series("n", [1704164645123456789]).cast(pl.Datetime("ns", "UTC"))
    far = pl.Series("f", [datetime(2024, 1, 2, tzinfo=UTC)]).dt.offset_by("18000y")
    with running_transform(IDENTITY_TRANSFORM, tmp_path) as transform:
        records = page_rows(transform.apply(frame_page(pl.DataFrame([nanoseconds, far]), {})))
    assert records == [
        {"n": "2024-01-02T03:04:05.123456789+00:00", "f": "+20024-01-02T00:00:00.000000+00:00"}
    ]


def test_a_value_in_a_column_of_mixed_types_has_the_text_of_the_typed_value(tmp_path: Path) -> None:
    values = [
        datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        date(2024, 1, 2),
        time(3, 4, 5),
        Decimal("1.50"),
        b"\x00\xff",
        timedelta(days=1, hours=2),
        "text",
    ]
    texts = [exact_text(value) for value in values]
    code = """
import datetime
from decimal import Decimal

def transform(record):
    return [record, {"v": eval(record["code"])}]
"""
    rows = [{"v": value, "code": repr(value)} for value in values]
    with running_transform(code, tmp_path) as transform:
        records = page_rows(transform.apply(rows_page(rows, {})))
    assert [record["v"] for record in records[::2]] == texts
    assert [record["v"] for record in records[1::2]] == texts


def test_records_of_rows_keep_their_types(tmp_path: Path) -> None:
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
    with running_transform(IDENTITY_TRANSFORM, tmp_path) as transform:
        records = page_rows(transform.apply(rows_page(rows, {})))
    assert records[0] == {**rows[0], "mixed": "2026-01-01"}
    assert records[1:] == rows[1:]


def test_a_transform_receives_python_values_and_may_return_no_or_several_records(
    tmp_path: Path,
) -> None:
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
    with running_transform(code, tmp_path) as transform:
        rows = page_rows(transform.apply(frame_page(frame, {})))
        assert (transform.received, transform.returned) == (3, 4)
    assert [row["id"] for row in rows] == [2, 2, 2, 3]
    assert rows[3] == {"id": 3, "day": date(2027, 1, 1), "price": Decimal("2.50")}


def test_each_record_that_a_transform_yields_is_returned(tmp_path: Path) -> None:
    code = """
def transform(record):
    for line in record["lines"]:
        yield {"order": record["id"], **line}
"""
    rows = [{"id": 7, "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": 8, "lines": []}]
    with running_transform(code, tmp_path) as transform:
        assert page_rows(transform.apply(rows_page(rows, {}))) == [
            {"order": 7, "sku": "a"},
            {"order": 7, "sku": "b"},
        ]


def test_records_of_several_slices_keep_their_order(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(9_001)})
    with running_transform(
        "def transform(r):\n    return {'m': r['n'] * 2}", tmp_path
    ) as transform:
        rows = page_rows(transform.apply(frame_page(frame, {})))
    assert [row["m"] for row in rows] == list(range(0, 18_002, 2))


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    frame = pl.DataFrame(schema={"id": pl.Int64})
    with running_transform(IDENTITY_TRANSFORM, tmp_path) as transform:
        assert transform.apply(frame_page(frame, {})).frame.columns == ["id"]  # type: ignore[attr-defined]


FAILING_TRANSFORMS = {
    "raises": ("def transform(r):\n    return r['missing']", "KeyError: 'missing'"),
    "returns a number": ("def transform(r):\n    return 7", "not int"),
    "returns a list of numbers": ("def transform(r):\n    return [7]", "not int"),
    "returns an unsupported value": (
        "def transform(r):\n    return {'a': object()}",
        "object cannot be part",
    ),
    "allocates too much memory": ("def transform(r):\n    return bytes(3 << 30)", "memory"),
    "exits": ("import os\ndef transform(r):\n    os._exit(3)\n    return r", "exit status 3"),
    "raises while it is loaded": (
        "import json\njson.nothing\ndef transform(r):\n    return r",
        "nothing",
    ),
    "yields without end": (
        "def transform(r):\n    while True:\n        yield {'a': 'x' * 1000}",
        "bytes of one answer",
    ),
}


@pytest.mark.parametrize("name", FAILING_TRANSFORMS)
def test_a_failed_transform_is_a_contract_failure(name: str, tmp_path: Path) -> None:
    code, expected_text = FAILING_TRANSFORMS[name]
    with (
        running_transform(code, tmp_path, page=4 << 20) as transform,
        pytest.raises(EngineError) as raised,
    ):
        transform.apply(rows_page([{"id": 1}], {}))
    assert expected_text in raised.value.message + " ".join(raised.value.evidence)
    assert raised.value.failure_class is FailureClass.CONTRACT
    assert not raised.value.retryable


def test_the_evidence_has_the_line_and_the_record_of_the_exception(tmp_path: Path) -> None:
    code = "def transform(record):\n    return {'n': int(record['n'])}\n"
    with running_transform(code, tmp_path) as transform, pytest.raises(TransformFailed) as raised:
        transform.apply(rows_page([{"n": "1"}, {"n": "zwei"}], {}))
    assert "line 2" in raised.value.evidence[0]
    assert "{'n': 'zwei'}" in raised.value.evidence[1]


def test_a_transform_that_takes_too_long_times_out(tmp_path: Path) -> None:
    code = "import time\ndef transform(r):\n    time.sleep(30)\n    return r"
    # The sandbox has started after three seconds: bubblewrap that is killed while it starts can leave a process behind.
    with (
        running_transform(code, tmp_path, silence_seconds=3.0) as transform,
        pytest.raises(EngineError) as raised,
    ):
        transform.apply(rows_page([{"id": 1}], {}))
    assert raised.value.failure_class is FailureClass.TIMEOUT


def test_a_transform_has_no_network_no_secrets_and_no_files(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("canary")
    code = f"""
import os, socket

def attempt(action):
    try:
        return str(action())
    except Exception as error:
        return type(error).__name__

def transform(record):
    return {{
        "net": attempt(lambda: socket.create_connection(("127.0.0.1", 9), 1)),
        "file": attempt(lambda: open({str(tmp_path / "secret.txt")!r}).read()),
        "key": attempt(lambda: os.environ["SECRET_KEY"]),
    }}
"""
    with running_transform(code, tmp_path) as transform:
        (row,) = page_rows(transform.apply(rows_page([{"id": 1}], {})))
    assert row["key"] == "KeyError"
    assert row["file"] in {"PermissionError", "FileNotFoundError"}
    assert "canary" not in str(row)
    assert "Error" in row["net"] or row["net"] == "EgressRefused"


def set_transform(run: Rehearsal, code: str, tmp_path: Path) -> Rehearsal:
    run.spec = replace(run.spec, transform=CodeSpec(code), sandbox=SandboxSpec(home=str(tmp_path)))
    return run


def published_rows(run: Rehearsal) -> list[Any]:
    return [json.loads(line) for line in (run.folder / "published.jsonl").read_text().splitlines()]


def test_a_run_writes_transformed_records_and_logs_their_number(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = make_rehearsal({"rows": 1000}, source_kind="dummy", stream="generated")
    code = (
        "def transform(r):\n    print('seen', r['id']) if r['id'] == 5 else None\n"
        "    return {'n': r['id']} if r['id'] % 2 else None"
    )
    outcome = set_transform(run, code, tmp_path).attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.skipped) == (1000, 500, 500)
    assert sorted(row["n"] for row in published_rows(run)) == list(range(1, 1000, 2))
    assert {event.total for event in run.progress} == {None}, (
        "the total of the source would count untransformed records"
    )
    messages = [line.message for line in run.log]
    assert "The transform received 1,000 records, skipped 500 and returned 500" in messages
    assert "seen 5" in messages


def test_a_killed_run_continues_and_transforms_no_record_twice(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = set_custom_source(make_rehearsal({"pause": 0.01}), PAGES_CODE, tmp_path)
    set_transform(run, "def transform(r):\n    return [r, {'n': -r['n'] - 1}]", tmp_path)
    outcome = run.kill_and_resume()
    assert isinstance(outcome, Succeeded), outcome
    assert sorted(row["n"] for row in published_rows(run)) == list(range(-2000, 2000))


def test_a_run_with_a_failing_transform_is_a_contract_failure(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = make_rehearsal({"rows": 10}, source_kind="dummy", stream="generated")
    outcome = set_transform(run, "def transform(r):\n    return r['nope']", tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONTRACT
    assert "KeyError" in outcome.message
    assert not outcome.retryable


WRITING_TRANSFORM = """
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
    pages: int, wait: str, make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    """The transform writes during the last page, or while the source waits between two pages."""
    pages_code = PAGES_CODE.replace("page < 99", f"page < {pages - 1}")
    pages_code = pages_code.replace("time.sleep(", "page and time.sleep(")
    run = set_custom_source(make_rehearsal({"pause": 1.5}), pages_code, tmp_path)
    run = set_transform(run, WRITING_TRANSFORM.replace("WAIT", wait), tmp_path)
    run.spec = replace(run.spec, sandbox=SandboxSpec(home=str(tmp_path), limits={"disk": 2 << 20}))
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "more than 2,097,152 bytes of files" in outcome.message
    assert outcome.failure_class is FailureClass.CONTRACT
    assert not outcome.retryable


@pytest.mark.parametrize(
    ("code", "expected_text"),
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
def test_validation_reports_code_that_cannot_work(code: str, expected_text: str) -> None:
    report = transforms.validate(code)
    assert not report.is_valid
    assert any(expected_text in message.message for message in report.messages), report.messages
    assert all(message.line >= 1 and message.column >= 1 for message in report.messages)


@pytest.mark.parametrize(
    "code",
    [
        IDENTITY_TRANSFORM,
        "def transform(record, *, deep=True):\n    yield record",
        "def transform(*records):\n    return records[0]",
        "transform = dict",
        "def transform(record):\n    raise ValueError(record)",
    ],
)
def test_validation_accepts_code_that_can_work(code: str) -> None:
    assert transforms.validate(code).is_valid


def test_validation_warns_about_imports_of_http_clients() -> None:
    report = transforms.validate("import requests\n" + IDENTITY_TRANSFORM)
    assert report.is_valid
    assert "no network" in report.messages[0].message
