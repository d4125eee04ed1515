"""Run the chunks of backfills: one after the other, and each only if the pipeline has no other run to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from apps.background.retries import apply_to_rows
from apps.engine.windows import CursorWindow
from apps.orgs.exceptions import Invalid, LimitReached
from apps.orgs.models import Org
from apps.orgs.principals import SYSTEM
from apps.orgs.walls.scope import org_scope
from apps.pipelines.definition import Definition, StreamDocument
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.matching.choosing import find_stream
from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.specs import StreamSpecs
from apps.runs import services
from apps.runs.backfills.possible import relevant_settings
from apps.runs.exceptions import PipelineDisabled
from apps.runs.models import LIVE, Backfill, BackfillMode, Run, Status, Trigger

BACKFILLS_PER_TICK = 200
SETTINGS_CHANGED = (
    "The settings of the stream have changed since the backfill was created: create a new one."
)


def start_due() -> int:
    """Go on with the unfinished backfills. Returns how many runs were started."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id, backfill_id FROM backfills_due(%s)", [BACKFILLS_PER_TICK])
        due_backfills = cursor.fetchall()
    return apply_to_rows(
        due_backfills, lambda org, backfill: advance(org_id=org, backfill_id=backfill)
    )


def advance(*, org_id: UUID, backfill_id: UUID) -> bool:
    """Start the next chunk of an unfinished backfill, or finish it after its last chunk. Returns True if a run was started.

    Nothing is started while the pipeline has a live run or a schedule that is due, or while it is disabled.
    """
    with org_scope(org_id):
        backfill = (
            Backfill.objects.for_org(org_id)
            .filter(pk=backfill_id, status=Status.RUNNING)
            .select_for_update(skip_locked=True, of=("self",))
            .first()
        )
        if backfill is None:  # Another worker goes on with it, or it has ended.
            return False
        newest = Run.objects.for_org(org_id).filter(backfill=backfill).order_by("-chunk").first()
        if newest is not None and newest.status in LIVE:
            return False
        if newest is not None and newest.status != Status.SUCCEEDED:
            _finish(backfill, Status(newest.status), newest.failure_message)
            return False
        return _go_on(Org.objects.get(pk=org_id), backfill, _count_done(backfill, newest))


def _count_done(backfill: Backfill, newest: Run | None) -> int:
    """Store and return the number of chunks that were loaded."""
    done = 0 if newest is None or newest.chunk is None else newest.chunk + 1
    if done != backfill.chunks_done:
        _update(backfill, chunks_done=done)
    return done


def _go_on(org: Org, backfill: Backfill, chunk: int) -> bool:
    if chunk == backfill.chunk_count:
        _finish(backfill, Status.SUCCEEDED)
        return False
    pipeline = Pipeline.objects.for_org(org).get(pk=backfill.pipeline_id)
    if _has_other_settings(org, pipeline, backfill):
        _finish(backfill, Status.FAILED, SETTINGS_CHANGED)
        return False
    if _has_to_wait(org, pipeline):
        return False
    try:
        services.start(
            org=org,
            by=SYSTEM,
            pipeline_id=pipeline.pk,
            trigger=Trigger.BACKFILL,
            backfill=backfill,
            chunk=chunk,
        )
    except (RunInProgress, PipelineDisabled, LimitReached):
        return False  # The next tick tries again.
    return True


def _has_to_wait(org: Org, pipeline: Pipeline) -> bool:
    if org.suspended_at is not None or org.deletion_at is not None:
        return True
    due_schedules = Schedule.objects.for_org(org).filter(
        pipeline=pipeline, paused_at=None, next_run_at__lte=timezone.now()
    )
    return pipeline.enabled and due_schedules.exists()


def _has_other_settings(org: Org, pipeline: Pipeline, backfill: Backfill) -> bool:
    now = relevant_settings(org, pipeline, pipeline.version, backfill.stream)
    if pipeline.version == backfill.version:
        return now is None  # Somebody may ignore a stream of patterns without a new version.
    return now != relevant_settings(org, pipeline, backfill.version, backfill.stream)


def _finish(backfill: Backfill, status: Status, message: str = "") -> None:
    _update(backfill, status=status, failure_message=message, finished_at=Now())


def _update(backfill: Backfill, **changes: object) -> None:
    Backfill.objects.for_org(backfill.org_id).filter(pk=backfill.pk).update(**changes)


@dataclass(frozen=True, slots=True)
class Chunk:
    """The part of a backfill that a run carries out."""

    stream: str
    window: CursorWindow | None  # None is the whole stream
    replaces: bool  # whether the rows of the window are replaced in the destination, and not merged


def find_chunk(org: Org, run_id: UUID) -> Chunk | None:
    """Return the chunk that the run carries out, or None if it is an ordinary run."""
    runs = Run.objects.for_org(org).filter(pk=run_id, backfill__isnull=False)
    run = runs.select_related("backfill").first()
    if run is None or run.backfill is None or run.chunk is None:
        return None
    backfill: Backfill = run.backfill
    start, end = backfill.bounds[run.chunk : run.chunk + 2]
    window = CursorWindow(backfill.cursor_field, start, end) if end is not None else None
    return Chunk(backfill.stream, window, replaces=backfill.mode == BackfillMode.REPLACE)


def matched_stream_of_chunk(
    org: Org, pipeline: Pipeline, definition: Definition, chunk: Chunk
) -> list[StreamDocument]:
    """Return the stream of the chunk if the patterns of the definition have chosen it, else nothing.

    Raises Invalid if the pipeline does not read the stream any more.
    """
    if definition.stream(chunk.stream) is not None:
        return []
    stream = find_stream(org, pipeline, definition, chunk.stream)
    if stream is None:
        message = f"The pipeline does not read the stream {chunk.stream} any more."
        raise Invalid([("stream", message, "unknown")])
    return [stream]


def specs_of_chunk(chunk: Chunk, specs: Sequence[StreamSpecs]) -> list[StreamSpecs]:
    """Return the specification of the chunk's stream, with its window."""
    replaced = chunk.window if chunk.replaces else None
    return [
        replace(
            each,
            source=replace(
                each.source,
                sync_mode="full_refresh",
                window=chunk.window,
                is_reread=chunk.window is None,
            ),
            destination=replace(each.destination, window=replaced),
        )
        for each in specs
        if each.source.stream == chunk.stream
    ]
