"""Show and change whether a pipeline starts when new files arrive. apps.runs.file_watches looks for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from django.utils import timezone

from apps.connectors import catalogue
from apps.connectors.files.users import KIND
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match
from apps.pipelines.models import FileWatch, Pipeline, Schedule
from apps.pipelines.schedules.blackouts import end_of_blackout
from apps.pipelines.schedules.words import describe_times
from apps.pipelines.visibility import find_pipeline, lock_pipeline


class WatchedFiles(TypedDict):
    """Whether the pipeline starts when new files arrive, and what the last look has found."""

    possible: bool
    enabled: bool
    minutes: int
    next_look_at: datetime | None
    looked_at: datetime | None
    files: int | None
    problem: str
    waiting: bool
    reason: str


def show(*, org: Org, by: Principal, pipeline_id: UUID) -> tuple[WatchedFiles, int]:
    """Return whether the pipeline starts when new files arrive, and its version. Raises NotFound."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return _render(pipeline, _watch_of(org, pipeline)), pipeline.etag


def replace(
    *,
    org: Org,
    by: Principal,
    pipeline_id: UUID,
    enabled: bool,
    minutes: int,
    present_files_are_new: bool,
    match: Match = None,
) -> tuple[WatchedFiles, int]:
    """Let the pipeline start when new files arrive, or not. Only changes from the next look on start it.

    With `present_files_are_new` the files that are there now start it, too. Raises NotFound, PermissionMissing,
    ChangedMeanwhile, and Invalid for a source without files.
    """
    pipeline = lock_pipeline(
        Permission.PIPELINES_EDIT, org=org, by=by, pipeline_id=pipeline_id, match=match
    )
    if enabled and not has_files(pipeline):
        raise Invalid([("enabled", refusal_of_kind(pipeline.source_kind), "no_files")])
    before = _audited(_watch_of(org, pipeline))
    changes: dict[str, Any] = {
        "enabled": enabled,
        "minutes": minutes,
        "next_look_at": timezone.now() if enabled else None,
        # The time since the last look may be too short to tell that the files have stopped changing.
        "seen_digest": "",
    }
    if present_files_are_new:
        changes["started_digest"] = ""
    watch, _ = FileWatch.objects.for_org(org).update_or_create(
        org=org, pipeline=pipeline, defaults=changes
    )
    pipeline.etag += 1
    pipeline.save(update_fields=["etag", "updated_at"])
    _record(org, by, pipeline, before, _audited(watch))
    return _render(pipeline, watch), pipeline.etag


def has_files(pipeline: Pipeline) -> bool:
    return pipeline.source_kind == KIND


def refusal_of_kind(kind: str) -> str:
    found = catalogue.find("source", kind)
    return (
        f"The source of the pipeline, {found.title if found else kind}, has no files to look for."
    )


def reason_not_to_start(pipeline: Pipeline, schedule: Schedule | None) -> str:
    """Return why new files do not start the pipeline now, or an empty text."""
    if not pipeline.enabled:
        return "The pipeline is disabled. The files start it when it is enabled again."
    if schedule is not None and schedule.paused_at is not None:
        return "The schedule of the pipeline is paused. The files start it afterwards."
    end = end_of_blackout(schedule, timezone.now())
    if schedule is not None and end is not None:
        until = describe_times([end], schedule.timezone)
        return (
            f"The schedule has a blackout until {until}. The files start the pipeline afterwards."
        )
    return ""


def schedule_of(org: Org | UUID, pipeline: Pipeline) -> Schedule | None:
    return Schedule.objects.for_org(org).filter(pipeline=pipeline).first()


def _watch_of(org: Org, pipeline: Pipeline) -> FileWatch:
    """Return the stored row, or a new one that is not stored."""
    found = FileWatch.objects.for_org(org).filter(pipeline=pipeline).first()
    return found or FileWatch(org=org, pipeline=pipeline, enabled=False)


def _render(pipeline: Pipeline, watch: FileWatch) -> WatchedFiles:
    is_seen = watch.enabled and bool(watch.files) and bool(watch.seen_digest)
    is_waiting = is_seen and watch.started_digest not in {None, watch.seen_digest}
    return {
        "possible": has_files(pipeline),
        "enabled": watch.enabled,
        "minutes": watch.minutes,
        "next_look_at": watch.next_look_at,
        "looked_at": watch.looked_at,
        "files": watch.files,
        "problem": watch.problem,
        "waiting": is_waiting,
        "reason": _reason(pipeline, watch) if is_waiting else "",
    }


def _reason(pipeline: Pipeline, watch: FileWatch) -> str:
    """Return why the files that have changed have not started the pipeline yet."""
    if reason := reason_not_to_start(pipeline, schedule_of(watch.org_id, pipeline)):
        return reason
    if pipeline.last_run_status in {"pending", "running"}:
        return "The pipeline is running. The files start it once more afterwards."
    return "The files have changed. They start the pipeline if the next look finds the same files."


def _audited(watch: FileWatch) -> dict[str, Any]:
    return {
        "file_watch": watch.enabled,
        "file_watch_minutes": watch.minutes,
        "present_files_are_new": watch.started_digest == "",
    }


def _record(
    org: Org, by: Principal, pipeline: Pipeline, before: dict[str, Any], after: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action="pipeline.file_watch",
        object_kind="pipeline",
        object_id=pipeline.pk,
        object_label=pipeline.name,
        changes={
            name: [before[name], after[name]] for name in before if before[name] != after[name]
        },
    )
