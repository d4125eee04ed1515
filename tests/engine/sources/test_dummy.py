"""The dummy source: the same records each time, and failures on demand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    RateLimitError,
    SourceError,
)
from tests.engine.sources.reading import make_source, page_rows, read_stream


@pytest.mark.parametrize("stream", ["creatures", "plants"])
def test_records_of_bizons_dummy_source_are_read(stream: str) -> None:
    result = read_stream(make_source("dummy", {}, stream))
    assert len(result.rows) == 5
    assert len(result.pages) == 3
    assert (
        read_stream(make_source("dummy", {}, stream), token=result.tokens[1]).rows
        == result.rows[2:]
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(4, 30), st.sampled_from(["frames", "rows"]))
def test_generated_records_are_the_same_from_any_token(
    rows: int, page_size: int, format_: str
) -> None:
    config = {"rows": rows, "page_size": page_size, "format": format_}
    full_read = read_stream(make_source("dummy", config, "generated"))
    assert full_read.column("id") == list(range(1, rows + 1))
    for position, token in enumerate(full_read.tokens):
        resumed_read = read_stream(make_source("dummy", config, "generated"), token=token)
        assert resumed_read.rows == [row for page in full_read.pages[position:] for row in page]


def test_frames_and_rows_have_the_same_values() -> None:
    frames = page_rows(make_source("dummy", {"rows": 50}, "generated").get())
    rows = page_rows(make_source("dummy", {"rows": 50, "format": "rows"}, "generated").get())
    for frame_row in frames:
        frame_row["created_at"] = frame_row["created_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert frames == rows


def test_an_incremental_read_continues_from_the_state() -> None:
    state = read_stream(make_source("dummy", {"rows": 10}, "generated")).state
    source_with_more_rows = make_source(
        "dummy", {"rows": 25, "page_size": 4}, "generated", sync_mode="incremental"
    )
    assert read_stream(source_with_more_rows, state).column("id") == list(range(11, 26))


@pytest.mark.parametrize(
    ("failure", "error_type"),
    [
        ("source", SourceError),
        ("authentication", AuthenticationError),
        ("rate_limit", RateLimitError),
        ("configuration", ConfigurationError),
        ("error", RuntimeError),
    ],
)
def test_the_source_raises_the_configured_failure(
    failure: str, error_type: type[Exception]
) -> None:
    config: dict[str, Any] = {
        "rows": 100,
        "page_size": 10,
        "fail_after": 30,
        "failure": failure,
    }
    source = make_source("dummy", config, "generated")
    page_before_failure = source.get({"after": 20})
    assert page_rows(page_before_failure)[-1]["id"] == 30
    with pytest.raises(error_type) as raised:
        source.get(page_before_failure.next_pagination)
    if isinstance(raised.value, EngineError):
        assert raised.value.evidence
