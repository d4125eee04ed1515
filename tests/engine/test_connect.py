"""Checks, discovery and previews, called directly and in a real child process."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from apps.engine import connect
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    FailureClass,
    SourceError,
)
from apps.engine.frames.display import display_rows
from apps.engine.process.supervisor import EngineSupervisor
from tests.engine.sources.api import Reply, always_reply, serve_api

SECRET = "s3cret-canary"


def make_payload(
    kind: str, config: dict[str, Any], stream: str = "", **options: Any
) -> dict[str, Any]:
    base = {"role": "source", "kind": kind, "config": config, "stream": stream}
    return {**base, "allow_private_networks": True, **options}


@pytest.fixture
def upload_area(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "a.csv").write_text("n,x\n" + "\n".join(f"{n},{n / 4}" for n in range(500)))
    return {"url": tmp_path.as_uri(), "prefix": "org"}


def test_a_preview_shows_at_most_a_hundred_records(upload_area: dict[str, Any]) -> None:
    result = connect.preview(make_payload("files", {"path": "a.csv"}, "a", files=upload_area))
    assert [row["n"] for row in result["records"]] == list(range(100))
    assert [(field["name"], field["type"]) for field in result["fields"]] == [
        ("n", "integer"),
        ("x", "number"),
    ]
    assert result["read_as"].startswith("CSV in utf-8: delimiter comma, quote")
    assert json.dumps(result)


def test_the_sizes_of_streams_are_estimated_without_reading_them() -> None:
    config = {"rows": 5000, "page_size": 30, "fail_after": 0}
    payload = make_payload("dummy", config, streams=["generated", "plants"])
    assert connect.estimate_sizes(payload)["sizes"] == {
        "generated": {
            "records": 5000,
            "requests": 167,
            "basis": "counted by the source",
            "problem": "",
        },
        "plants": {"records": 5, "requests": 3, "basis": "counted by the source", "problem": ""},
    }


def test_an_estimate_names_the_streams_of_the_source() -> None:
    names = connect.estimate_sizes(make_payload("dummy", {}, streams=[]))["names"]
    assert "generated" in names
    assert connect.estimate_sizes(make_payload("files", {"path": "a.csv"}, streams=["b"]))[
        "names"
    ] == ["a"], "no file has to be read for this"


def test_an_estimate_of_a_source_that_does_not_list_its_streams_names_none() -> None:
    config = {"host": "127.0.0.1", "port": 1, "database": "shop", "user": "reader"}
    answer = connect.estimate_sizes(make_payload("postgres", config, streams=["public.orders"]))
    assert answer["names"] is None


def test_the_size_of_a_csv_file_is_estimated_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "a.csv").write_text("n,x\n" + "12345,67890\n" * 100_000)
    (tmp_path / "org" / "b.csv.gz").write_bytes(b"")
    files = {"url": tmp_path.as_uri(), "prefix": "org"}
    payload = make_payload("files", {"path": "a.csv"}, streams=["a"], files=files)
    size = connect.estimate_sizes(payload)["sizes"]["a"]
    assert abs(size["records"] - 100_000) < 1000
    assert (size["requests"], size["basis"]) == (2, "estimated by the size of the files")
    compressed = make_payload("files", {"path": "b.csv.gz"}, streams=["b"], files=files)
    assert connect.estimate_sizes(compressed)["sizes"]["b"]["records"] is None


def test_a_source_that_cannot_be_read_has_no_size_and_says_so_without_its_message() -> None:
    with serve_api(always_reply(Reply({}, status=401))) as api:
        streams = [{"name": "items", "path": "/items"}]
        config = {"base_url": api.url, "streams": streams, "retries": 0}
        sizes = connect.estimate_sizes(make_payload("rest", config, streams=["items"]))["sizes"]
    assert sizes["items"]["records"] is None
    assert sizes["items"]["problem"] == "the source cannot be read now (authentication)"


@pytest.mark.parametrize(("limit", "rows"), [(1, 1), (7, 7), (100, 100), (10**6, 100), (None, 100)])
def test_a_preview_applies_its_limit_over_several_pages(limit: int | None, rows: int) -> None:
    payload = make_payload("dummy", {"rows": 5000, "page_size": 3}, "generated", limit=limit)
    result = connect.preview(payload)
    # A preview reads at most twenty pages, of three rows here.
    assert len(result["records"]) == min(rows, 60)
    assert result["records"][0]["created_at"] == "2024-01-01T00:01:00Z"


def test_a_preview_of_rows_equals_a_preview_of_frames() -> None:
    frames = connect.preview(make_payload("dummy", {"rows": 9}, "generated"))
    rows = connect.preview(make_payload("dummy", {"rows": 9, "format": "rows"}, "generated"))
    assert rows["records"] == frames["records"]


def test_values_in_a_preview_keep_every_digit() -> None:
    frame = pl.DataFrame(
        {
            "at": [datetime(2024, 1, 1, 12, 0, 0, 5, tzinfo=UTC)],
            "local": [datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)],
            "day": [date(2024, 2, 29)],
            "clock": [time(1, 2, 3)],
            "span": [timedelta(hours=1)],
            "exact": [Decimal("1.10")],
            "large": [2**60],
            "small": [2**53],
            "nan": [float("nan")],
            "infinite": [float("inf")],
            "number": [1.5],
            "bytes": [b"\x00\xff"],
            "yes": [True],
            "none": [None],
            "text": ["ü"],
        }
    )
    assert display_rows(frame) == [
        {
            "at": "2024-01-01T12:00:00.000005Z",
            "local": "2024-01-01T00:00:00",
            "day": "2024-02-29",
            "clock": "01:02:03",
            "span": "PT1H",
            "exact": "1.10",
            "large": str(2**60),
            "small": 2**53,
            "nan": None,
            "infinite": None,
            "number": 1.5,
            "bytes": "AP8=",
            "yes": True,
            "none": None,
            "text": "ü",
        }
    ]
    assert display_rows(frame.head(0)) == []


def test_discovery_returns_streams_as_json(upload_area: dict[str, Any]) -> None:
    result = connect.discover(make_payload("files", {"path": "a.csv"}, files=upload_area))
    assert result["streams"][0]["name"] == "a"
    assert json.dumps(result)


def test_a_check_returns_whether_each_step_succeeded() -> None:
    result = connect.check(make_payload("dummy", {}))
    assert result["ok"] is True
    assert [step["step"] for step in result["steps"]] == ["read"]
    refused_result = connect.check(
        make_payload(
            "rest",
            {"base_url": "http://10.0.0.1", "streams": [{"name": "a"}]},
            allow_private_networks=False,
        )
    )
    assert refused_result["ok"] is False
    assert [step["ok"] for step in refused_result["steps"]] == [False]


def test_the_output_of_a_check_contains_no_control_characters(upload_area: dict[str, Any]) -> None:
    result = connect.check(make_payload("files", {"path": "a\u202e.csv"}, files=upload_area))
    assert result["ok"] is False
    assert "a\\u202e.csv" in result["steps"][-1]["message"]


def test_a_destination_can_be_checked(tmp_path: Path) -> None:
    payload = {
        "role": "destination",
        "kind": "jsonl",
        "config": {},
        "data": {"url": tmp_path.as_uri(), "prefix": "org/1"},
    }
    result = connect.check(payload)
    assert result["ok"] is True
    assert result["steps"]


@pytest.mark.parametrize(
    "payload",
    [
        make_payload("nope", {}),
        make_payload("dummy", {"rows": SECRET}),
        make_payload("dummy", {"name": "x", "source_file_path": "/etc/passwd"}),
        make_payload("dummy", {"max_iterations": 1}),
        {**make_payload("jsonl", {}), "role": "destination"},
    ],
)
def test_a_preview_with_invalid_settings_is_a_configuration_failure(
    payload: dict[str, Any],
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        connect.preview(payload)
    assert SECRET not in f"{raised.value.message} {raised.value.evidence}"


def test_a_call_in_a_child_returns_the_result_of_the_function(
    supervisor: EngineSupervisor, upload_area: dict[str, Any]
) -> None:
    payload = make_payload("files", {"path": "a.csv"}, "a", files=upload_area, limit=3)
    result: Any = supervisor.call("preview", payload, timeout=30)
    assert [row["n"] for row in result["records"]] == [0, 1, 2]
    assert supervisor.call("check", payload, timeout=30)["ok"] is True
    assert supervisor.call("discover", payload, timeout=30)["streams"]


@pytest.mark.parametrize(
    ("reply", "error_class"),
    [
        (Reply(f"bad {SECRET}".encode(), 401), AuthenticationError),
        (Reply(f"bad {SECRET}".encode(), 500), SourceError),
    ],
)
def test_a_failure_in_a_child_is_raised_with_its_class_and_evidence_and_without_secrets(
    supervisor: EngineSupervisor, reply: Reply, error_class: type[EngineError]
) -> None:
    with serve_api(always_reply(reply)) as api:
        config = {
            "base_url": api.url,
            "streams": [{"name": "items"}],
            "auth": {"type": "bearer", "token": SECRET},
            "retries": 0,
        }
        with pytest.raises(EngineError) as raised:
            supervisor.call("preview", make_payload("rest", config, "items"), timeout=30)
        steps = supervisor.call("check", make_payload("rest", config, "items"), timeout=30)
    assert FailureClass(raised.value.failure_class) is error_class.failure_class
    assert raised.value.evidence
    assert SECRET not in f"{raised.value.message} {raised.value.evidence} {steps}"


def test_a_token_that_the_server_sends_back_is_shown_neither_in_records_nor_in_names() -> None:
    body = json.dumps([{"id": 1, "echo": f"Bearer {SECRET}", SECRET: True}]).encode()
    with serve_api(always_reply(Reply(body))) as api:
        config = {
            "base_url": api.url,
            "streams": [{"name": "items"}],
            "auth": {"type": "bearer", "token": SECRET},
        }
        payload = make_payload("rest", config, "items")
        preview, streams = connect.preview(payload), connect.discover(payload)
    assert preview["records"] == [{"id": 1, "echo": "Bearer •••", "•••": True}]
    assert [field["name"] for field in preview["fields"]] == ["id", "echo", "•••"]
    assert SECRET not in str(streams)


def test_a_short_password_that_is_the_name_of_a_column_does_not_hide_the_column() -> None:
    with serve_api(always_reply(Reply(b'[{"shop": 1}]'))) as api:
        config = {
            "base_url": api.url,
            "streams": [{"name": "shop"}],
            "auth": {"type": "bearer", "token": "shop"},
        }
        streams = connect.discover(make_payload("rest", config, "shop"))["streams"]
    assert [stream["name"] for stream in streams] == ["shop"]
