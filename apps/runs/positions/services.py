"""Show and change the positions of a pipeline's streams. They are part of the engine's state."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict
from uuid import UUID

import orjson
import psycopg
import structlog
from django.conf import settings
from django.db import transaction

from apps.background.database_errors import first_line
from apps.engine import Progress
from apps.engine.position_shapes import MAX_POSITION_BYTES, find_faults
from apps.engine.stream_keys import pipeline_prefix, stream_key
from apps.engine.sync import position_history, state
from apps.json import JsonValue
from apps.orgs import audit
from apps.orgs.exceptions import Invalid, NotFound
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.definition import Definition, StreamDocument
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import find_stream
from apps.pipelines.models import Pipeline, PipelineStream, SourceStream, StreamState
from apps.pipelines.visibility import find_pipeline
from apps.runs import visibility
from apps.runs.exceptions import NoPosition
from apps.runs.models import LIVE, Run

logger = structlog.get_logger(__name__)

UNFINISHED_STATUSES = frozenset({"started", "running"})


class FoundColumn(TypedDict):
    """A column that the last run has found in the source. The type is empty if it is not known."""

    name: str
    type: str


class PositionRow(TypedDict):
    """The saved position of a stream, the counts of its newest sync, and its columns if they are known."""

    stream: str
    sync_mode: str
    status: str
    state: JsonValue
    batches: int
    written: int
    rejected: int
    skipped: int
    updated_at: datetime
    columns: list[FoundColumn] | None


class Positions(TypedDict):
    streams: list[PositionRow]


def read_positions(*, org: Org, by: Principal, pipeline_id: UUID) -> Positions:
    """Return the position of each stream that has run. Raises NotFound."""
    find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return {"streams": _read_streams(org.pk, pipeline_id)}


def read_unfinished_progress(key: str, run_id: str) -> Progress | None:
    """Return the committed progress of the unfinished sync of a stream in a run.

    Returns None if the run has no unfinished sync of it, or the engine's state cannot be read now.
    """
    try:
        stream_state = state.read_state(settings.ENGINE_DATABASE_URL, key)
    except psycopg.OperationalError as error:
        logger.warning("engine state cannot be read now", error=first_line(error))
        return None
    if stream_state is None or stream_state.status not in UNFINISHED_STATUSES:
        return None
    if stream_state.run_id != run_id:
        return None
    return Progress(
        read=stream_state.written + stream_state.rejected + stream_state.skipped,
        written=stream_state.written,
        rejected=stream_state.rejected,
        bytes=stream_state.bytes,
        iterations=stream_state.batches,
        skipped=stream_state.skipped,
    )


def set_position(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    position: dict[str, Any],
    stream: str | None = None,
) -> dict[str, Any]:
    """Let the next incremental sync of a stream continue from `position`. Returns the new positions.

    Without `stream`, it is the pipeline's only stream. Raises RunInProgress, Invalid for an unknown stream, for one that
    has no position, or for a position from which the source could not continue, and NoPosition before the first finished
    sync.
    """
    with transaction.atomic():
        pipeline = _lock_pipeline(org, by, pipeline_id)
        names = _stream_names(org.pk, pipeline_id)
        if stream is None and len(names) > 1:
            raise Invalid([("stream", "The pipeline has several streams: name one.", "required")])
        (name,) = _chosen(names, stream)
        key = stream_key(org.pk, pipeline_id, name)
        before = state.read_state(settings.ENGINE_DATABASE_URL, key)
        stream_document = _find_incremental(org, pipeline, name, field="state")
        text = orjson.dumps(position).decode()
        _require_length(text, before)
        _require_known_shape(pipeline, stream_document, position, before)
        if not state.continue_from(
            settings.ENGINE_DATABASE_URL, key, text, user_id=_user_id_of(by)
        ):
            raise NoPosition
        change = [_position_of(before) if before else None, position]
        _audit(org, pipeline, by, "state.put", {"stream": [name, name], "state": change})
    return {"streams": _read_streams(org.pk, pipeline_id)}


def restore_position(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    change_id: UUID,
    side: Literal["before", "after"],
) -> dict[str, Any]:
    """Let the next incremental sync continue from the position before or after a change. Returns the new positions.

    Raises NotFound for an unknown change, RunInProgress, Invalid if there was no position, or if the pipeline has no such
    stream any more or reads all of it in each run, and NoPosition before the first finished sync.
    """
    with transaction.atomic():
        pipeline = _lock_pipeline(org, by, pipeline_id)
        dsn, prefix = settings.ENGINE_DATABASE_URL, pipeline_prefix(org.pk, pipeline_id)
        change = position_history.find_change(dsn, prefix, change_id)
        if change is None:
            raise NotFound
        (name,) = _chosen(_stream_names(org.pk, pipeline_id), change.stream)
        position = change.before if side == "before" else change.after
        if position is None:
            raise Invalid(
                [("side", "The stream had no position: reset it instead.", "no_position")]
            )
        _find_incremental(org, pipeline, name, field="change")
        key = stream_key(org.pk, pipeline_id, name)
        if not state.continue_from(dsn, key, position, cause="restore", user_id=_user_id_of(by)):
            raise NoPosition
        changes = {"stream": [name, name], "change": [None, str(change_id)], "side": [None, side]}
        _audit(org, pipeline, by, "state.restore", changes)
    return {"streams": _read_streams(org.pk, pipeline_id)}


def reset_position(
    *, org: Org, by: Principal, pipeline_id: UUID, stream: str | None = None
) -> dict[str, Any]:
    """Let the next run read everything again: of one stream, or of all streams. Returns the new positions.

    Raises RunInProgress, and Invalid for an unknown stream.
    """
    with transaction.atomic():
        pipeline = _lock_pipeline(org, by, pipeline_id)
        for name in _chosen(_stream_names(org.pk, pipeline_id), stream):
            key = stream_key(org.pk, pipeline_id, name)
            state.reset(settings.ENGINE_DATABASE_URL, key, user_id=_user_id_of(by))
        changes = {"stream": [stream, stream]} if stream else None
        _audit(org, pipeline, by, "state.reset", changes)
    return {"streams": _read_streams(org.pk, pipeline_id)}


def _user_id_of(by: Principal) -> str | None:
    """Return the person who acts; for an API key, the person who created it."""
    return str(by.user_id) if by.user_id else None


def _stream_names(org_id: UUID, pipeline_id: UUID) -> list[str]:
    """Return the names of the streams that the pipeline reads, in order. Ignored streams are not among them."""
    rows = PipelineStream.objects.for_org(org_id).filter(
        pipeline_id=pipeline_id, state=StreamState.INCLUDED
    )
    return list(rows.order_by("position").values_list("name", flat=True))


def _chosen(names: list[str], stream: str | None) -> list[str]:
    """Return the stream with this name, or all streams without a name. Raises Invalid."""
    if stream is None:
        return names
    if stream not in names:
        raise Invalid([("stream", "The pipeline has no such stream.", "unknown")])
    return [stream]


def _find_incremental(org: Org, pipeline: Pipeline, name: str, *, field: str) -> StreamDocument:
    """Return the stream. Raises Invalid if it has no position, because each run reads all of it."""
    version = versions.get_version(org, pipeline, pipeline.version)
    stream = find_stream(org, pipeline, Definition(version.definition), name)
    if stream is None:
        raise Invalid([("stream", "The pipeline has no such stream.", "unknown")])
    if stream["sync_mode"] != "incremental":
        message = (
            f"Each run reads all records of {name} (sync mode full_refresh), so it has no position. Choose incremental for the"
            " stream first."
        )
        raise Invalid([(field, message, "not_incremental")])
    return stream


def _require_length(position: str, before: state.StreamState | None) -> None:
    """Raise Invalid if the position is longer than a source may store, unless its source has stored a longer one."""
    saved = before.position if before and before.position else ""
    longest = max(MAX_POSITION_BYTES, len(saved.encode()))
    size = len(position.encode())
    if size > longest:
        message = f"Must have at most {longest:,} bytes as JSON; it has {size:,}."
        raise Invalid([("state", message, "max_length")])


def _require_known_shape(
    pipeline: Pipeline,
    stream: StreamDocument,
    position: dict[str, Any],
    before: state.StreamState | None,
) -> None:
    """Raise Invalid, with the parts of the position from which the source could not continue."""
    found = SourceStream.objects.for_org(pipeline.org_id).filter(
        pipeline=pipeline, stream=stream["stream"]
    )
    columns = found.values_list("columns", flat=True).first()
    saved = orjson.loads(before.position) if before and before.position else {}
    faults = find_faults(
        pipeline.source_kind,
        position,
        saved=saved,
        cursor_field=stream["cursor_field"],
        types=columns or {},
    )
    if faults:
        raise Invalid([(f"state.{part}", text, "invalid") for part, text in faults.items()])


def _lock_pipeline(org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    """Lock and return the pipeline, so that none of its runs can start before the change. Raises RunInProgress."""
    pipeline = visibility.find_permitted_pipeline(
        Permission.STATE_EDIT, org=org, by=by, pipeline_id=pipeline_id, lock=True
    )
    live_runs = Run.objects.for_org(org).filter(pipeline=pipeline, status__in=LIVE)
    if (run_id := live_runs.values_list("id", flat=True).first()) is not None:
        raise RunInProgress(run_id)
    return pipeline


def _read_streams(org_id: UUID, pipeline_id: UUID) -> list[PositionRow]:
    keys = [stream_key(org_id, pipeline_id, name) for name in _stream_names(org_id, pipeline_id)]
    states = state.read_states(settings.ENGINE_DATABASE_URL, keys)
    found = dict(
        SourceStream.objects.for_org(org_id)
        .filter(pipeline_id=pipeline_id)
        .values_list("stream", "columns")
    )
    return [_render_stream(states[key], found) for key in keys if key in states]


def _render_stream(
    stream_state: state.StreamState, found: Mapping[str, Mapping[str, str]]
) -> PositionRow:
    columns = found.get(stream_state.stream)
    return {
        "stream": stream_state.stream,
        "sync_mode": stream_state.sync_mode,
        "status": stream_state.status,
        "state": _position_of(stream_state),
        "batches": stream_state.batches,
        "written": stream_state.written,
        "rejected": stream_state.rejected,
        "skipped": stream_state.skipped,
        "updated_at": stream_state.updated_at or stream_state.created_at,
        "columns": [{"name": name, "type": columns[name]} for name in columns] if columns else None,
    }


def _position_of(stream_state: state.StreamState) -> JsonValue:
    position: JsonValue = orjson.loads(stream_state.position) if stream_state.position else None
    return position


def _audit(
    org: Org, pipeline: Pipeline, by: Principal, action: str, changes: dict[str, Any] | None
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="pipeline",
        object_id=pipeline.pk,
        object_label=pipeline.name,
        changes=changes,
    )
