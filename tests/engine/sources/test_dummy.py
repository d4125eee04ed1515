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
from tests.engine.sources.reading import build, read, rows_of


@pytest.mark.parametrize("stream", ["creatures", "plants"])
def test_bizons_own_records_are_there(stream: str) -> None:
    found = read(build("dummy", {}, stream))
    assert len(found.rows) == 5
    assert len(found.pages) == 3
    assert read(build("dummy", {}, stream), token=found.tokens[1]).rows == found.rows[2:]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 60), st.integers(4, 30), st.sampled_from(["frames", "rows"]))
def test_generated_records_are_the_same_from_any_token(
    rows: int, page_size: int, format_: str
) -> None:
    config = {"rows": rows, "page_size": page_size, "format": format_}
    whole = read(build("dummy", config, "generated"))
    assert whole.column("id") == list(range(1, rows + 1))
    for position, token in enumerate(whole.tokens):
        rest = read(build("dummy", config, "generated"), token=token)
        assert rest.rows == [row for page in whole.pages[position:] for row in page]


def test_frames_and_rows_hold_the_same() -> None:
    frames = rows_of(build("dummy", {"rows": 50}, "generated").get())
    rows = rows_of(build("dummy", {"rows": 50, "format": "rows"}, "generated").get())
    for frame_row in frames:
        frame_row["created_at"] = frame_row["created_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert frames == rows


def test_incremental_runs_continue_where_the_last_ended() -> None:
    state = read(build("dummy", {"rows": 10}, "generated")).state
    grown = build("dummy", {"rows": 25, "page_size": 4}, "generated", sync_mode="incremental")
    assert read(grown, state).column("id") == list(range(11, 26))


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ("source", SourceError),
        ("authentication", AuthenticationError),
        ("rate_limit", RateLimitError),
        ("configuration", ConfigurationError),
        ("error", RuntimeError),
    ],
)
def test_it_fails_as_configured(failure: str, kind: type[Exception]) -> None:
    config: dict[str, Any] = {
        "rows": 100,
        "page_size": 10,
        "fail_after": 30,
        "failure": failure,
    }
    source = build("dummy", config, "generated")
    last = source.get({"after": 20})
    assert rows_of(last)[-1]["id"] == 30
    with pytest.raises(kind) as caught:
        source.get(last.next_pagination)
    if isinstance(caught.value, EngineError):
        assert caught.value.evidence
