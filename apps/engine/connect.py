"""Check connectors, discover streams, preview records. Arguments and results are JSON.

The functions run in a child of the fork server. They take the same payload: `{"role", "kind", "config", "stream",
"sync_mode", "cursor_field", "primary_key", "table", "write_mode", "code", "fields", "transform", "contract", "published",
"sandbox", "files", "data", "allow_private_networks", "limit"}`. `role`, `kind` and `config` are always required. `files` and `data` are storage
roots as JSON. The functions raise EngineError.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl
from bizon.source.models import SourceIteration

from apps.egress.exceptions import EgressError
from apps.engine.contract import (
    CodeSpec,
    Contract,
    DestinationSpec,
    FieldInfo,
    LeftOutReason,
    PreviewResult,
    SandboxSpec,
    SizeEstimate,
    SourceSpec,
    StorageRoot,
    StreamInfo,
)
from apps.engine.destinations.base import Destination
from apps.engine.failures import ConfigurationError, EngineError
from apps.engine.field_rules import NO_RULES, FieldRules
from apps.engine.frames.contracts import ColumnContract
from apps.engine.frames.decoding import DecodedPage, StreamSchema
from apps.engine.frames.display import display_rows
from apps.engine.frames.left_out import KINDS, LeftOutRecords, most_frequent
from apps.engine.reporting.redaction import redactor_of_payload
from apps.engine.sources.base import FrameIteration, RowsIteration
from apps.engine.sources.connector import ConnectorSource, frame_page, rows_page
from apps.engine.sync.build import build_destination, build_source
from apps.engine.sync.fields import FieldChanges
from apps.engine.sync.identity import pinned_columns, pins_types
from apps.engine.sync.transforms import Transform
from apps.engine.windows import WindowRequest

MAX_PREVIEW_RECORDS = 100
ESTIMATE_SECONDS = 1.5  # after this time, no further stream is estimated
MAX_PREVIEW_REASONS = 10  # of each kind
MAX_PREVIEW_PAGES = 20  # a limit for sources whose first pages are empty

Payload = Mapping[str, Any]
NO_STORAGE = StorageRoot("file:///nonexistent", "none")


def check(payload: Payload) -> dict[str, Any]:
    """Return `{"ok", "steps": [{"step", "ok", "message", "ms"}]}`. Steps after a failed step are not run."""
    open_connector = _open_destination if payload["role"] == "destination" else open_source
    redact = redactor_of_payload(payload).mask_text
    with open_connector(payload) as connector:
        steps = [{**asdict(step), "message": redact(step.message)} for step in connector.check()]
    return {"ok": all(step["ok"] for step in steps), "steps": steps}


def discover(payload: Payload) -> dict[str, Any]:
    """Return `{"streams": [StreamInfo as JSON]}`."""
    if payload["role"] != "source":
        raise ConfigurationError("only sources have streams to discover")
    with open_source(payload) as source:
        streams = [_stream_as_json(stream) for stream in source.discover() if _is_storable(stream)]
    return {"streams": redactor_of_payload(payload).mask_names(streams)}


def _is_storable(stream: StreamInfo) -> bool:
    """Whether PostgreSQL can store all names of the stream. No database has such a name, but code and servers may send it."""
    fields = (text for field in stream.fields for text in (field.name, field.type))
    return not any(
        "\0" in text for text in (stream.name, *stream.primary_key, *stream.cursor_fields, *fields)
    )


def _stream_as_json(stream: StreamInfo) -> dict[str, Any]:
    """Return what `asdict` returns, which takes half a second for 1,000 tables."""
    return {
        "name": stream.name,
        "fields": [
            {"name": field.name, "type": field.type, "nullable": field.nullable}
            for field in stream.fields
        ],
        "primary_key": stream.primary_key,
        "cursor_fields": stream.cursor_fields,
        "sync_modes": stream.sync_modes,
    }


def estimate_sizes(payload: Payload) -> dict[str, Any]:
    """Return a SizesAnswer for `streams`, as far as there is time for them."""
    deadline = time.monotonic() + ESTIMATE_SECONDS
    sizes: dict[str, Any] = {}
    for stream in payload["streams"]:
        if time.monotonic() > deadline:
            break
        sizes[stream] = asdict(_estimate_size({**payload, "stream": stream}))
    names = _list_names(payload) if time.monotonic() < deadline else None
    return {"sizes": sizes, "names": names}


def _list_names(payload: Payload) -> list[str] | None:
    try:
        with open_source(payload) as source:
            names: list[str] = redactor_of_payload(payload).mask_names(source.stream_names())
            return names
    except (EgressError, EngineError):
        return None


def _estimate_size(payload: Payload) -> SizeEstimate:
    try:
        with open_source(payload) as source:
            return source.estimate_size()
    except EgressError:
        return SizeEstimate(problem="the egress policy does not allow the source's address")
    except EngineError as error:
        return SizeEstimate(problem=f"the source cannot be read now ({error.failure_class})")


def list_files(payload: Payload) -> dict[str, Any]:
    """Return a FilesAnswer. No file is read."""
    with open_source(payload) as source:
        found = source.list_files()
    names = redactor_of_payload(payload).mask_names(list(found))
    return {"streams": dict(zip(names, found.values(), strict=True))}


def plan_window(payload: Payload) -> dict[str, Any]:
    """Return a WindowPlan as JSON for the window of a backfill, `window`. `state` is the saved position of the stream."""
    with open_source(payload) as source:
        return asdict(source.plan_window(WindowRequest(**payload["window"]), payload["state"]))


def preview(payload: Payload) -> dict[str, Any]:
    """Return a PreviewResult as JSON with at most `limit` records of the stream, and never more than 100."""
    if payload["role"] != "source":
        raise ConfigurationError("only sources have records to preview")
    started = time.perf_counter()
    limit = max(1, min(int(payload.get("limit") or MAX_PREVIEW_RECORDS), MAX_PREVIEW_RECORDS))
    with open_source(payload) as source, ExitStack() as stack:
        source.page_limit = limit
        rules = FieldRules.from_json(payload.get("fields") or {})
        source.text_columns, source.protected_fields = rules.rewritten, rules.protected
        transform = (
            stack.enter_context(_build_transform(payload)) if payload.get("transform") else None
        )
        fields = FieldChanges(rules) if rules else None
        contract = _contract_of(payload, source, rules)
        records = read_first_records(source, limit, transform, fields, contract)
        if transform:
            transform.conclude()
        read_as = source.read_as
    columns = tuple(
        FieldInfo(name, column.field_type) for name, column in records.schema.columns.items()
    )
    ms = round((time.perf_counter() - started) * 1000, 1)
    rows = tuple(display_rows(records.frame))
    shown = asdict(
        PreviewResult(
            rows, records.rejected, records.skipped, records.reasons, columns, ms, read_as
        )
    )
    redactor = redactor_of_payload(payload)
    return {
        **shown,
        **{name: redactor.mask_records(shown[name]) for name in ("records", "fields")},
        "left_out": redactor.mask_value(shown["left_out"]),
    }


def _contract_of(
    payload: Payload, source: ConnectorSource[Any], rules: FieldRules
) -> ColumnContract:
    """Return the contract, with the columns that the newest run has published, if a run would keep their types.

    `published` in the payload has `columns` and `inputs` of the newest finished sync (`SyncRunner`, `Checkpoints`).
    """
    mode: Contract = payload.get("contract") or "evolve"
    modes = {name: payload.get(name) for name in ("write_mode", "sync_mode")}
    published = payload.get("published")
    if not published or not pins_types(source, contract=mode, **modes):
        return ColumnContract(StreamSchema(), mode, rules.chosen)
    pinned = pinned_columns(
        published["columns"],
        earlier_effects=(published["inputs"] or {}).get("effects", {}),
        fields=NO_RULES if payload.get("transform") else rules,
        effects=rules.effects(),
    )
    return ColumnContract(pinned, mode, rules.chosen)


@dataclass(frozen=True, slots=True)
class FirstRecords:
    """The first records of a stream, how many records a run would reject and skip, and the most frequent reasons."""

    frame: pl.DataFrame
    schema: StreamSchema
    rejected: int
    skipped: int
    reasons: tuple[LeftOutReason, ...]


def read_first_records(
    source: ConnectorSource[Any],
    limit: int,
    transform: Transform | None = None,
    fields: FieldChanges | None = None,
    contract: ColumnContract | None = None,
) -> FirstRecords:
    """Return at most `limit` records of the first pages, as a run would write them.

    Raises ContractError if the contract forbids what has changed.
    """
    contract = contract or ColumnContract(StreamSchema())
    source_pages: list[Any] = []
    pages: list[DecodedPage] = []
    left_out = LeftOutRecords()
    token: dict[str, Any] = {}
    for _ in range(MAX_PREVIEW_PAGES):
        page = source.get(token)
        token = page.next_pagination
        page = _truncate_page(page, limit) if fields or transform else page
        page = fields.apply(page) if fields else page
        page = transform.apply(page) if transform else page
        source_pages.append(page)
        pages.append(_decode_page(page, contract, limit))
        left_out.extend(getattr(page, "left_out", None) or LeftOutRecords())
        if not token or sum(decoded.frame.height for decoded in pages) >= limit:
            break
    if contract.schema.respelled:  # A run would read the source once more.
        contract = replace(contract, schema=contract.schema.complete())
        pages = [_decode_page(page, contract, limit) for page in source_pages]
    for decoded in pages:
        for item in decoded.rejected:
            left_out.add("rejected", item.record, reason=item.reason, position="")
        for item in decoded.skipped:
            left_out.add("skipped", item.record, reason=item.reason, position="")
    frame = pl.concat([contract.schema.conform(decoded.frame) for decoded in pages]).head(limit)
    return FirstRecords(
        frame,
        contract.schema,
        left_out.count("rejected"),
        left_out.count("skipped"),
        tuple(_reasons(left_out)),
    )


def _reasons(left_out: LeftOutRecords) -> Iterator[LeftOutReason]:
    for kind in KINDS:
        reasons = (record.reason for record in left_out.kept(kind))
        for reason, count in most_frequent(reasons, MAX_PREVIEW_REASONS):
            yield LeftOutReason(kind, reason, count)


def _truncate_page(page: Any, limit: int) -> SourceIteration:
    """Shorten the page to `limit` records, so that a preview transforms only the records that it shows."""
    if isinstance(page, FrameIteration):
        return frame_page(page.frame.head(limit), page.next_pagination, left_out=page.left_out)
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    left_out = getattr(page, "left_out", None)
    return rows_page(list(rows[:limit]), page.next_pagination, left_out=left_out)


def _build_transform(payload: Payload) -> Transform:
    sandbox = SandboxSpec(**payload.get("sandbox") or {})
    return Transform(CodeSpec.from_json(payload["transform"]), sandbox)


def _decode_page(page: Any, contract: ColumnContract, limit: int) -> DecodedPage:
    # Only a contract compares the types that the source declares. The columns of a preview have Drover's types.
    native = None if contract.schema.earlier is None else getattr(page, "native", None)
    if isinstance(page, FrameIteration):
        return contract.decode_frame(page.frame.head(limit), native)
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    return contract.decode(rows[:limit], native)


@contextmanager
def hold_snapshot(payload: Payload) -> Iterator[dict[str, Any]]:
    """Yield a HeldSnapshot as JSON for `streams`. The snapshot exists until the block ends."""
    with (
        open_source(payload) as source,
        source.hold_snapshot(
            payload["streams"],
            is_required=payload["is_required"],
            max_bytes=payload["max_bytes"],
        ) as held,
    ):
        yield asdict(held)


@contextmanager
def open_source(payload: Payload) -> Iterator[ConnectorSource[Any]]:
    """Create the source of the payload, and close it after the block. Raises EngineError."""
    source = build_source(
        _source_spec(payload),
        files=_storage_root(payload, "files"),
        allow_private_networks=bool(payload.get("allow_private_networks")),
        sandbox=SandboxSpec(**payload.get("sandbox") or {}),
    )
    try:
        yield source
        source.conclude()
    finally:
        source.close()


@contextmanager
def _open_destination(payload: Payload) -> Iterator[Destination]:
    destination = build_destination(
        _destination_spec(payload),
        job_id=f"check-{uuid.uuid4().hex[:12]}",
        data=_storage_root(payload, "data"),
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


def _storage_root(payload: Payload, name: str) -> StorageRoot:
    return StorageRoot(**payload[name]) if payload.get(name) else NO_STORAGE
