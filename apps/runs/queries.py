"""Queries on runs that several views use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.models import Pipeline
from apps.runs import snapshots, visibility
from apps.runs.models import Run, RunStream, Status
from apps.runs.snapshots import COLUMNS, RunSnapshot, StreamSnapshot, render_runs

STREAMS_PER_PAGE = 200
MAX_FAILED_STREAMS = 10
SEARCHED_FAILURES = 5_000  # the newest failed runs, whose messages a search reads


def filter_runs(
    rows: Any, parameters: dict[str, Any], *, org_id: UUID
) -> QuerySet[Run, dict[str, Any]]:
    """Filter the runs of the org by the validated query parameters of the list."""
    for parameter, lookup in (
        ("pipeline", "pipeline_id"),
        ("domain", "pipeline__domain_id"),
        ("status", "status"),
        ("trigger", "trigger"),
        ("since", "created_at__gte"),
        ("until", "created_at__lt"),
    ):
        if parameter in parameters:
            rows = rows.filter(**{lookup: parameters[parameter]})
    if text := parameters.get("q"):
        rows = _search(rows, org_id, text)
    runs: QuerySet[Run, dict[str, Any]] = rows.values(*COLUMNS)
    return runs


def _search(rows: Any, org_id: UUID, text: str) -> Any:
    """Return the runs with the text in the name of their pipeline, or in the message of a recent failure.

    The database has to read each message, because under row-level security it uses no index for a part of a text. So only
    the messages of the newest failed runs are searched.
    """
    failed = rows.exclude(failure_class="").order_by("-created_at", "-id")
    oldest = failed.values_list("created_at", flat=True)[SEARCHED_FAILURES - 1 : SEARCHED_FAILURES]
    found = Q(failure_message__icontains=text)
    if (since := oldest.first()) is not None:
        found = Q(created_at__gte=since) & found
    named = Pipeline.objects.for_org(org_id).filter(name__icontains=text)
    if named.exists():
        found |= Q(pipeline__in=named)
    return rows.filter(found)


def newest_runs(rows: QuerySet[Run], *, org_id: UUID, limit: int) -> list[RunSnapshot]:
    """Return the newest of these runs of the org, newest first."""
    newest = rows.order_by("-created_at", "-id")[:limit]
    return render_runs(org_id, list(newest.values(*COLUMNS)))


def waiting_runs(rows: QuerySet[Run], *, org_id: UUID, limit: int) -> list[RunSnapshot]:
    """Return the first waiting ones of these runs of the org, in the order of the queue."""
    waiting = rows.filter(status=Status.PENDING).order_by("created_at", "id")[:limit]
    return render_runs(org_id, list(waiting.values(*COLUMNS)))


def running_runs(rows: QuerySet[Run], *, org_id: UUID, limit: int) -> list[RunSnapshot]:
    """Return the running ones of these runs of the org, those that run for the longest time first."""
    running = rows.filter(status=Status.RUNNING).order_by("claimed_at", "id")[:limit]
    return render_runs(org_id, list(running.values(*COLUMNS)))


class Moment(TypedDict):
    """How many streams were published of the snapshot of one moment. Without a snapshot it is None."""

    at: datetime | None
    streams: int


class StreamsPage(TypedDict):
    """A page of the streams of a run, and the moments of all that were published."""

    results: list[StreamSnapshot]
    moments: list[Moment]
    count: int
    next_offset: int | None


def streams(
    *,
    org: Org,
    by: Principal,
    run_id: UUID,
    status: str | None,
    offset: int,
    limit: int = STREAMS_PER_PAGE,
) -> StreamsPage:
    """Return a page of the run's streams, in the order of the definition. Raises NotFound."""
    run = visibility.find_run(org=org, by=by, run_id=run_id)
    rows = RunStream.objects.for_org(org).filter(run=run)
    published = rows.filter(status=Status.SUCCEEDED)
    moments = published.values("snapshot_at").annotate(count=Count("id"))
    if status is not None:
        rows = rows.filter(status=status)
    count = rows.count()
    end = offset + limit
    page = rows.order_by("position")[offset:end]
    return {
        "results": [snapshots.stream(row) for row in page],
        "moments": [
            {"at": moment["snapshot_at"], "streams": moment["count"]}
            for moment in moments.order_by(F("snapshot_at").desc(nulls_last=True))
        ],
        "count": count,
        "next_offset": end if end < count else None,
    }


def failed_streams(org: Org, run_id: UUID) -> list[StreamSnapshot]:
    """Return the first failed streams of a run that the principal can see."""
    rows = RunStream.objects.for_org(org).filter(run_id=run_id, status=Status.FAILED)
    return [snapshots.stream(row) for row in rows.order_by("position")[:MAX_FAILED_STREAMS]]


@dataclass(frozen=True, slots=True)
class ExpectedSize:
    """What the newest successful run of a stream read. `pages` is also the number of requests of most sources."""

    records: int
    pages: int
    pipeline_name: str


def expected_size(rows: QuerySet[Run], *, connector_id: UUID, stream: str) -> ExpectedSize | None:
    """Return what one of these runs read from the stream of the source, or None if none of them succeeded."""
    run = (
        rows.filter(
            status=Status.SUCCEEDED,
            pipeline__source_connector_id=connector_id,
            pipeline__stream=stream,
            pipeline__stream_count=1,
        )
        .select_related("pipeline")
        .order_by("-created_at", "-id")
        .first()
    )
    if run is None:
        return None
    return ExpectedSize(run.records_read, run.iterations, run.pipeline.name)
