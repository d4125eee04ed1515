"""The window of a backfill is divided into chunks of the same width, and each row is in exactly one of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from apps.engine.failures import ConfigurationError
from apps.engine.sources.base import FrameIteration
from apps.engine.sources.postgres import windows
from apps.engine.sources.postgres.source import PostgresSource
from apps.engine.windows import CursorWindow, WindowPlan, WindowRequest
from tests.engine.sources.conftest import SourceDatabase
from tests.engine.sources.reading import make_source

VALUES = {
    "timestamptz": "timestamptz '2026-01-01 00:00+00' + n * interval '7 hours'",
    "timestamp": "timestamp '2026-01-01' + n * interval '7 hours'",
    "date": "date '2026-01-01' + n",
    "smallint": "n - 500",
    "integer": "n * 1000 - 7",
    "bigint": "n * 8000000000000000::bigint",
}


@pytest.fixture
def table(database: SourceDatabase) -> SourceDatabase:
    columns = ", ".join(f"({value})::{kind} AS at_{kind}" for kind, value in VALUES.items())
    database.execute(
        "DROP TABLE IF EXISTS events CASCADE",
        f"CREATE TABLE events AS SELECT n AS id, {columns}, 'x' AS text FROM generate_series(1, 1000) n",
        "ALTER TABLE events ADD PRIMARY KEY (id)",
    )
    return database


def plan(
    database: SourceDatabase, field: str, start: str | None = None, **request: Any
) -> tuple[WindowPlan, list[str | None]]:
    """Return the plan of a window that ends at the greatest value, and its bounds."""
    ((last,),) = database.rows(f"SELECT max({field})::text FROM events")
    source = make_source("postgres", database.config, "events")
    request = {"end": None, "rows_per_chunk": 100, **request}
    found = source.plan_window(
        WindowRequest(field, start, **request), {"cursor_field": field, "after": [last, "1000"]}
    )
    source.close()
    return found, [found.start, *found.between, found.end]


@pytest.mark.parametrize("kind", list(VALUES))
def test_each_row_before_the_position_is_in_one_chunk(table: SourceDatabase, kind: str) -> None:
    found, bounds = plan(table, f"at_{kind}")

    assert (found.rows, found.is_counted, len(bounds)) == (999, True, 11)
    ids = [row for window in pairwise(bounds) for row in read(table, kind, *window)]
    assert sorted(ids) == list(range(1, 1000))


def read(database: SourceDatabase, kind: str, start: str | None, end: str | None) -> list[int]:
    assert end is not None
    config = {**database.config, "page_size": 37, "snapshot": "paged"}
    source = make_source(
        "postgres", config, "events", window=CursorWindow(f"at_{kind}", start, end)
    )
    ids: list[int] = []
    token: dict[str, Any] = {}
    while True:
        page = source.get(token)
        assert page.next_state is None, "a window has no position"
        assert isinstance(page, FrameIteration)
        ids += page.frame["id"].to_list()
        token = page.next_pagination
        if not token:
            source.close()
            assert len(ids) < 200
            return ids


def test_a_window_has_no_more_chunks_than_values(table: SourceDatabase) -> None:
    _, bounds = plan(table, "at_date", start="2026-01-10", end="2026-01-12", rows_per_chunk=1)
    assert bounds == ["2026-01-10", "2026-01-11", "2026-01-12"]


def test_the_first_value_of_a_large_table_is_not_searched_for_long(
    table: SourceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "FIRST_VALUE_SECONDS", 0.001)
    table.execute(
        "CREATE OR REPLACE VIEW slow AS SELECT id, at_date FROM events, pg_sleep(0.05)",
        "GRANT SELECT ON slow TO source_reader",
    )
    source = make_source("postgres", table.config, "slow")
    found = source.plan_window(
        WindowRequest("at_date", None, None, 1),
        {"cursor_field": "at_date", "after": ["2027-01-01"]},
    )
    source.close()
    assert (found.between, found.is_counted) == ((), False)


def test_a_cursor_field_of_text_has_no_windows(table: SourceDatabase) -> None:
    with pytest.raises(ConfigurationError, match="times, dates or integers"):
        plan(table, "text")


def test_the_position_of_another_cursor_field_is_refused(table: SourceDatabase) -> None:
    source = make_source("postgres", table.config, "events")
    assert isinstance(source, PostgresSource)
    position = {"cursor_field": "id", "after": ["5"]}
    with pytest.raises(ConfigurationError, match="no saved position"):
        source.plan_window(WindowRequest("at_date", None, None, 1), position)
