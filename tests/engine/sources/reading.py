"""Read sources in tests the way the engine does: page by page, tokens through JSON."""

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
MANY = 10_000  # pages; more than any test has


@dataclass
class ReadStream:
    """What a stream gave: the rows of each page, the token each page was asked with, the state after."""

    pages: list[list[dict[str, Any]]] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] | None = None

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for page in self.pages for row in page]

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows]


def build(
    kind: str,
    config: Mapping[str, Any],
    stream: str = "",
    *,
    files: StorageRoot = NO_FILES,
    private: bool = True,
    **spec: Any,
) -> ConnectorSource[Any]:
    """A source that may reach this machine."""
    return build_source(
        SourceSpec(kind, config, stream, **spec), files=files, allow_private_networks=private
    )


def read(
    source: ConnectorSource[Any],
    state: Mapping[str, Any] | None = None,
    token: Mapping[str, Any] | None = None,
) -> ReadStream:
    """Everything from the token on; only what is new since `state` when there is one."""
    result = ReadStream()
    pagination = stored(token or {})
    since = None
    if state is not None:
        since = SourceIncrementalState(last_run=datetime.now(UTC), state=stored(state))
    for _ in range(MANY):
        result.tokens.append(pagination)
        page = (
            source.get(pagination) if since is None else source.get_records_after(since, pagination)
        )
        result.pages.append(rows_of(page))
        if page.next_state is not None:
            result.state = stored(page.next_state)
        pagination = stored(page.next_pagination)
        if not pagination:
            return result
    raise AssertionError("the stream does not end")


def rows_of(page: Any) -> list[dict[str, Any]]:
    """The rows of a page, typed as a destination would get them."""
    if isinstance(page, FrameIteration):
        return StreamSchema().conform(page.frame).to_dicts()
    if isinstance(page, RowsIteration):
        return page.rows
    return [record.data for record in page.records]


def stored(value: Mapping[str, Any]) -> dict[str, Any]:
    """As it comes back from the engine's database."""
    back: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    return back
