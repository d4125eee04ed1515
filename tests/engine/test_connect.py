"""Checks, discovery and previews in a real child, as the web process calls them."""

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
from tests.engine.sources.api import Reply, always, serving

SECRET = "s3cret-canary"


def asking(kind: str, config: dict[str, Any], stream: str = "", **more: Any) -> dict[str, Any]:
    base = {"role": "source", "kind": kind, "config": config, "stream": stream}
    return {**base, "allow_private_networks": True, **more}


@pytest.fixture
def area(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "org").mkdir()
    (tmp_path / "org" / "a.csv").write_text("n,x\n" + "\n".join(f"{n},{n / 4}" for n in range(500)))
    return {"url": tmp_path.as_uri(), "prefix": "org"}


def test_a_preview_shows_at_most_a_hundred_records(area: dict[str, Any]) -> None:
    found = connect.preview(asking("files", {"path": "a.csv"}, "a", files=area))
    assert [row["n"] for row in found["records"]] == list(range(100))
    assert [(field["name"], field["type"]) for field in found["fields"]] == [
        ("n", "integer"),
        ("x", "number"),
    ]
    assert json.dumps(found)


@pytest.mark.parametrize(("limit", "rows"), [(1, 1), (7, 7), (100, 100), (10**6, 100), (None, 100)])
def test_a_preview_honours_its_limit_over_pages(limit: int | None, rows: int) -> None:
    payload = asking("dummy", {"rows": 5000, "page_size": 3}, "generated", limit=limit)
    found = connect.preview(payload)
    assert len(found["records"]) == min(rows, 60)  # twenty pages of three
    assert found["records"][0]["created_at"] == "2024-01-01T00:01:00Z"


def test_a_preview_of_rows_is_typed_like_one_of_frames() -> None:
    frames = connect.preview(asking("dummy", {"rows": 9}, "generated"))
    rows = connect.preview(asking("dummy", {"rows": 9, "format": "rows"}, "generated"))
    assert rows["records"] == frames["records"]


def test_values_are_shown_without_losing_a_digit() -> None:
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


def test_discovery_answers_streams_as_json(area: dict[str, Any]) -> None:
    found = connect.discover(asking("files", {"path": "a.csv"}, files=area))
    assert found["streams"][0]["name"] == "a"
    assert json.dumps(found)


def test_checks_answer_their_steps() -> None:
    found = connect.check(asking("dummy", {}))
    assert found["ok"] is True
    assert [step["step"] for step in found["steps"]] == ["read"]
    refused = connect.check(
        asking(
            "rest",
            {"base_url": "http://10.0.0.1", "streams": [{"name": "a"}]},
            allow_private_networks=False,
        )
    )
    assert refused["ok"] is False
    assert [step["ok"] for step in refused["steps"]] == [False]


def test_the_output_of_a_check_contains_no_control_characters(area: dict[str, Any]) -> None:
    found = connect.check(asking("files", {"path": "a\u202e.csv"}, files=area))
    assert found["ok"] is False
    assert "a\\u202e.csv" in found["steps"][-1]["message"]


def test_destinations_are_checked_too(tmp_path: Path) -> None:
    payload = {
        "role": "destination",
        "kind": "jsonl",
        "config": {},
        "data": {"url": tmp_path.as_uri(), "prefix": "org/1"},
    }
    found = connect.check(payload)
    assert found["ok"] is True
    assert found["steps"]


@pytest.mark.parametrize(
    "payload",
    [
        asking("nope", {}),
        asking("dummy", {"rows": SECRET}),
        asking("dummy", {"name": "x", "source_file_path": "/etc/passwd"}),
        asking("dummy", {"max_iterations": 1}),
        {**asking("jsonl", {}), "role": "destination"},
    ],
)
def test_a_failed_preview_has_a_reason(payload: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect.preview(payload)
    assert SECRET not in f"{caught.value.message} {caught.value.evidence}"


def test_a_child_answers_what_the_function_answers(
    supervisor: EngineSupervisor, area: dict[str, Any]
) -> None:
    payload = asking("files", {"path": "a.csv"}, "a", files=area, limit=3)
    found: Any = supervisor.call("preview", payload, timeout=30)
    assert [row["n"] for row in found["records"]] == [0, 1, 2]
    assert supervisor.call("check", payload, timeout=30)["ok"] is True
    assert supervisor.call("discover", payload, timeout=30)["streams"]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(f"bad {SECRET}".encode(), 401), AuthenticationError),
        (Reply(f"bad {SECRET}".encode(), 500), SourceError),
    ],
)
def test_a_failure_crosses_the_process_with_class_and_evidence_but_without_secrets(
    supervisor: EngineSupervisor, reply: Reply, kind: type[EngineError]
) -> None:
    with serving(always(reply)) as api:
        config = {
            "base_url": api.url,
            "streams": [{"name": "items"}],
            "auth": {"type": "bearer", "token": SECRET},
            "retries": 0,
        }
        with pytest.raises(EngineError) as caught:
            supervisor.call("preview", asking("rest", config, "items"), timeout=30)
        steps = supervisor.call("check", asking("rest", config, "items"), timeout=30)
    assert FailureClass(caught.value.failure_class) is kind.failure_class
    assert caught.value.evidence
    assert SECRET not in f"{caught.value.message} {caught.value.evidence} {steps}"
