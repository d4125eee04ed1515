"""Check a connection, discover streams, preview records: JSON in, JSON out, in a child of the fork server.

All three take the same payload: `{"role", "kind", "config", "stream", "sync_mode", "cursor_field",
"primary_key", "table", "write_mode", "files", "data", "allow_private_networks", "limit"}`. Only the first three
are always required. `files` and `data` are storage roots as JSON. All raise EngineError.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
from bizon.source.models import SourceIteration

from apps.engine.contract import (
    CodeSpec,
    DestinationSpec,
    FieldInfo,
    PreviewResult,
    SandboxSpec,
    SourceSpec,
    StorageRoot,
)
from apps.engine.destinations.base import Destination
from apps.engine.failures import ConfigurationError
from apps.engine.frames.decoding import DecodedPage, StreamSchema
from apps.engine.frames.display import display_rows
from apps.engine.reporting.redaction import redactor_of_payload
from apps.engine.sources.base import FrameIteration, RowsIteration
from apps.engine.sources.connector import ConnectorSource, frame_page, rows_page
from apps.engine.sync.build import build_destination, build_source
from apps.engine.sync.transforms import Transform

MAX_PREVIEW = 100
MAX_PREVIEW_PAGES = 20  # pages read at most, for sources that begin with empty pages

Payload = Mapping[str, Any]
NOWHERE = StorageRoot("file:///nonexistent", "none")


def check(payload: Payload) -> dict[str, Any]:
    """Return `{"ok", "steps": [{"step", "ok", "message", "ms"}]}`; no step follows a failed one."""
    opened = _destination if payload["role"] == "destination" else opened_source
    said = redactor_of_payload(payload).text
    with opened(payload) as made:
        steps = [{**asdict(step), "message": said(step.message)} for step in made.check()]
    return {"ok": all(step["ok"] for step in steps), "steps": steps}


def discover(payload: Payload) -> dict[str, Any]:
    """Return `{"streams": [StreamInfo as JSON]}`."""
    if payload["role"] != "source":
        raise ConfigurationError("only sources have streams to discover")
    with opened_source(payload) as source:
        return {"streams": [asdict(stream) for stream in source.discover()]}


def preview(payload: Payload) -> dict[str, Any]:
    """Return a PreviewResult as JSON with at most `limit` (100) records of the stream. Writes nothing."""
    if payload["role"] != "source":
        raise ConfigurationError("only sources have records to preview")
    started = time.perf_counter()
    limit = max(1, min(int(payload.get("limit") or MAX_PREVIEW), MAX_PREVIEW))
    with opened_source(payload) as source, ExitStack() as stack:
        source.page_limit = limit
        transform = stack.enter_context(_transform(payload)) if payload.get("transform") else None
        first = first_records(source, limit, transform)
        if transform:
            transform.conclude()
    columns = first.schema.columns.items()
    fields = tuple(FieldInfo(name, column.field_type) for name, column in columns)
    ms = round((time.perf_counter() - started) * 1000, 1)
    return asdict(PreviewResult(tuple(display_rows(first.frame)), first.rejected, fields, ms))


@dataclass(frozen=True, slots=True)
class FirstRecords:
    """The first records of a stream, and how many of the records read a run would reject, such as empty ones."""

    frame: pl.DataFrame
    schema: StreamSchema
    rejected: int


def first_records(
    source: ConnectorSource[Any], limit: int, transform: Transform | None = None
) -> FirstRecords:
    """Return at most `limit` records of the first pages, as a run would write them."""
    schema = StreamSchema()
    pages: list[DecodedPage] = []
    token: dict[str, Any] = {}
    for _ in range(MAX_PREVIEW_PAGES):
        page = source.get(token)
        token = page.next_pagination
        page = transform.apply(_shortened(page, limit)) if transform else page
        pages.append(_typed(page, schema, limit))
        if not token or sum(one.frame.height for one in pages) >= limit:
            break
    whole = pl.concat([schema.conform(one.frame) for one in pages]).head(limit)
    return FirstRecords(whole, schema, sum(len(one.rejected) for one in pages))


def _shortened(page: Any, limit: int) -> SourceIteration:
    """Cut the page to `limit` records, so that a preview transforms no more records than it shows."""
    if isinstance(page, FrameIteration):
        return frame_page(page.frame.head(limit), page.next_pagination)
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    return rows_page(list(rows[:limit]), page.next_pagination)


def _transform(payload: Payload) -> Transform:
    sandbox = SandboxSpec(**payload.get("sandbox") or {})
    return Transform(CodeSpec.from_json(payload["transform"]), sandbox)


def _typed(page: Any, schema: StreamSchema, limit: int) -> DecodedPage:
    if isinstance(page, FrameIteration):
        return DecodedPage(schema.conform(page.frame.head(limit)), [])
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    return schema.decode(rows[:limit])


@contextmanager
def opened_source(payload: Payload) -> Iterator[ConnectorSource[Any]]:
    source = build_source(
        _source_spec(payload),
        files=_root(payload, "files"),
        allow_private_networks=bool(payload.get("allow_private_networks")),
        sandbox=SandboxSpec(**payload.get("sandbox") or {}),
    )
    try:
        yield source
        source.conclude()
    finally:
        source.close()


@contextmanager
def _destination(payload: Payload) -> Iterator[Destination]:
    destination = build_destination(
        _destination_spec(payload),
        job_id=f"check-{uuid.uuid4().hex[:12]}",
        data=_root(payload, "data"),
        allow_private_networks=bool(payload.get("allow_private_networks")),
    )
    try:
        yield destination
    finally:
        destination.close()


def _source_spec(payload: Payload) -> SourceSpec:
    return SourceSpec(
        kind=payload["kind"],
        config=payload["config"],
        stream=payload.get("stream") or "",
        sync_mode=payload.get("sync_mode") or "full_refresh",
        cursor_field=payload.get("cursor_field"),
        primary_key=tuple(payload.get("primary_key") or ()),
        code=CodeSpec.from_json(payload["code"]) if payload.get("code") else None,
    )


def _destination_spec(payload: Payload) -> DestinationSpec:
    return DestinationSpec(
        kind=payload["kind"],
        config=payload["config"],
        table=payload.get("table") or "drover_check",
        write_mode=payload.get("write_mode") or "replace",
        primary_key=tuple(payload.get("primary_key") or ()),
    )


def _root(payload: Payload, name: str) -> StorageRoot:
    return StorageRoot(**payload[name]) if payload.get(name) else NOWHERE
