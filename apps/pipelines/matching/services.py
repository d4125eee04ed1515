"""Show the streams of a pipeline, and decide about those that are new or gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, TypedDict
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q

from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines import targets
from apps.pipelines.definition import Definition, StreamDocument
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import (
    INCLUDED,
    MatchedStream,
    documents_of,
    known_streams,
    matched_rows,
    names_of,
)
from apps.pipelines.models import Pipeline, PipelineStream, StreamState
from apps.pipelines.visibility import find_pipeline, lock_pipeline

STREAMS_PER_PAGE = 200
Decision = Literal["add", "ignore"]
STATE_AFTER: dict[Decision, StreamState] = {
    "add": StreamState.INCLUDED,
    "ignore": StreamState.IGNORED,
}


class StreamRow(TypedDict):
    """A stream of a pipeline. `named` tells that the definition names it; the modes are null if it is not read."""

    stream: str
    table: str
    named: bool
    state: str
    missing: bool
    sync_mode: str | None
    write_mode: str | None


class StreamsPage(TypedDict):
    """A page of the streams of a pipeline, and how many there are in each state."""

    results: list[StreamRow]
    count: int
    next_offset: int | None
    counts: dict[str, int]


def list_streams(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    state: str | None,
    missing: bool | None,
    offset: int,
    search: str = "",
    limit: int = STREAMS_PER_PAGE,
) -> StreamsPage:
    """Return a page of the pipeline's streams, those that its definition names first. Raises NotFound."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    rows = PipelineStream.objects.for_org(org).filter(pipeline=pipeline)
    counts = rows.aggregate(
        **{value: Count("pk", filter=Q(state=value)) for value in StreamState.values},
        missing=Count("pk", filter=Q(missing=True, state=INCLUDED)),
    )
    if state is not None:
        rows = rows.filter(state=state)
    if missing is not None:
        rows = rows.filter(missing=missing)
    if search:
        rows = rows.filter(name__icontains=search)
    count = rows.count()
    end = offset + limit
    page = list(rows.order_by("position", "name")[offset:end])
    return {
        "results": _render(versions.current_definition(org, pipeline), page),
        "count": count,
        "next_offset": end if end < count else None,
        "counts": counts,
    }


def _render(definition: Definition, rows: Sequence[PipelineStream]) -> list[StreamRow]:
    matched = known_streams(rows)
    documents = {
        each["stream"]: each
        for each in (*documents_of(definition, matched.values()), *definition.streams)
    }
    return [_render_row(row, documents.get(row.name)) for row in rows]


def _render_row(row: PipelineStream, document: StreamDocument | None) -> StreamRow:
    return {
        "stream": row.name,
        "table": document["table"] if document else "",
        "named": row.offer is None,
        "state": row.state,
        "missing": row.missing,
        "sync_mode": document["sync_mode"] if document else None,
        "write_mode": document["write_mode"] if document else None,
    }


def decide(
    *, org: Org, by: Principal, pipeline_id: UUID, decision: Decision, streams: Sequence[str]
) -> Pipeline:
    """Add or ignore streams that the patterns of the pipeline have chosen, from the next run on.

    Raises NotFound, PermissionMissing, and Invalid for an unknown stream or if a table is taken.
    """
    pipeline = lock_pipeline(Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id)
    known = known_streams(matched_rows(org, pipeline))
    _require_known(known.keys(), streams)
    after = STATE_AFTER[decision]
    changes = {
        f"streams.{name}": [str(known[name].state), str(after)]
        for name in streams
        if known[name].state != after
    }
    if not changes:
        return pipeline
    decided = [
        MatchedStream(each.name, each.offer, after, each.missing) if each.name in streams else each
        for each in known.values()
    ]
    current = versions.get_version(org, pipeline, pipeline.version)
    definition = Definition(current.definition)
    with transaction.atomic():
        targets.claim(
            org, by, pipeline, definition, matched=decided, own_database=current.own_database
        )
        pipeline.stream_count = len(definition.streams) + len(names_of(decided, INCLUDED))
        pipeline.save(update_fields=["stream_count"])
        audit.record(
            org=org,
            by=by,
            action="pipeline.streams",
            object_kind="pipeline",
            object_id=pipeline.pk,
            object_label=pipeline.name,
            changes=changes,
        )
    return pipeline


def _require_known(known: Collection[str], streams: Sequence[str]) -> None:
    message = "The patterns of the pipeline have not found this stream."
    errors = [
        (f"streams.{number}", message, "unknown")
        for number, name in enumerate(streams)
        if name not in known
    ]
    if errors:
        raise Invalid(errors)
