"""Read sources as the engine does: page by page, storing the tokens and the state as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bizon.source.models import SourceIncrementalState

from apps.engine.contract import SourceSpec, StorageRoot
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.base import FrameIteration, RowsIteration
from apps.engine.sources.connector import ConnectorSource
from apps.engine.sync.build import build_source

NO_FILES = StorageRoot("file:///nonexistent", "none")
MAX_PAGES = 10_000  # more than any test needs


@dataclass
class ReadResult:
    """What a read of a stream returned: the rows and the token of each page, and the final state."""

    pages: list[list[dict[str, Any]]] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for page in self.pages for row in page]

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]


def make_source(
    kind: str,
    config: Mapping[str, Any],
    stream: str = "",
    *,
    files: StorageRoot = NO_FILES,
    allow_private: bool = True,
    **spec: Any,
) -> ConnectorSource[Any]:
    """Build a source that may connect to private addresses such as this machine's, unless `allow_private` is false."""
    return build_source(
        SourceSpec(kind, config, stream, **spec), files=files, allow_private_networks=allow_private
    )


def read_stream(
    source: ConnectorSource[Any],
    state: Mapping[str, Any] | None = None,
    token: Mapping[str, Any] | None = None,
) -> ReadResult:
    """Read the stream to its end, from the token if there is one. With a `state`, read only newer rows."""
    result = ReadResult()
    pagination = json_round_trip(token or {})
    since = None
    if state is not None:
        since = SourceIncrementalState(last_run=datetime.now(UTC), state=json_round_trip(state))
    for _ in range(MAX_PAGES):
        result.tokens.append(pagination)
        page = (
            source.get(pagination) if since is None else source.get_records_after(since, pagination)
        )
        result.pages.append(page_rows(page))
        if page.next_state is not None:
            result.state = json_round_trip(page.next_state)
        pagination = json_round_trip(page.next_pagination)
        if not pagination:
            return result
    raise AssertionError("the stream did not end")


def page_rows(page: Any) -> list[dict[str, Any]]:
    """Return the rows of a page with the types that a destination receives."""
    if isinstance(page, FrameIteration):
        return StreamSchema().conform(page.frame).to_dicts()
    if isinstance(page, RowsIteration):
        return page.rows
    return [record.data for record in page.records]


def json_round_trip(value: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the value to JSON and back, as when the engine stores and reads it."""
    parsed: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    return parsed
