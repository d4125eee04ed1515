"""Render pipelines and their versions for the API. `listing` renders the list of pipelines."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypedDict
from uuid import UUID

from apps.auth.models import User
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines import definition, targets
from apps.pipelines.definition import Document
from apps.pipelines.definition.discovered import Unchecked, find_unchecked
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline, PipelineVersion, Schedule
from apps.pipelines.schedules.freshness import freshness_of
from apps.pipelines.schedules.services import schedule_of


class Person(TypedDict):
    id: UUID
    name: str


class VersionRow(TypedDict):
    number: int
    note: str
    created_at: datetime
    created_by: Person | None


class DomainLabel(TypedDict):
    id: UUID
    name: str


class LastRun(TypedDict):
    id: UUID
    status: str
    kind: str
    finished_at: datetime | None
    records: int | None
    duration_seconds: float | None


class ScheduleDetail(TypedDict):
    cron: str | None
    interval_seconds: int | None
    timezone: str
    overlap: str
    misfire: str
    jitter_seconds: int
    blackouts: list[dict[str, Any]]
    end_date: date | None
    paused_at: datetime | None
    paused_note: str
    paused_by: Person | None


class PipelineDetail(TypedDict):
    id: UUID
    name: str
    description: str
    domain: DomainLabel | None
    tags: list[str]
    enabled: bool
    version: int
    source_kind: str
    destination_kind: str
    stream: str
    stream_count: int
    schedule: ScheduleDetail | None
    next_run_at: datetime | None
    last_run: LastRun | None
    freshness: str
    last_success_at: datetime | None
    failing_since: datetime | None
    late_at: datetime | None
    created_at: datetime
    updated_at: datetime
    config: Document
    timeout_seconds: int
    max_attempts: int
    warnings: list[str]


class ChangedPipeline(PipelineDetail):
    unchecked: list[dict[str, str]]  # of `Unchecked`


def render_changed(
    org: Org, by: Principal, pipeline: Pipeline, *, is_definition_sent: bool
) -> ChangedPipeline:
    """Return the pipeline, and what of the definition that was sent could not be compared with the source."""
    unchecked: list[Unchecked] = []
    if is_definition_sent:
        unchecked = find_unchecked(org, versions.current_definition(org, pipeline))
    return {
        **render_detail(org, by, pipeline),
        "unchecked": [part._asdict() for part in unchecked],
    }


def render_detail(org: Org, by: Principal, pipeline: Pipeline) -> PipelineDetail:
    schedule = schedule_of(org, pipeline)
    version = versions.get_version(org, pipeline, pipeline.version)
    domain = pipeline.domain
    return {
        "id": pipeline.pk,
        "name": pipeline.name,
        "description": pipeline.description,
        "domain": {"id": domain.pk, "name": domain.name} if domain else None,
        "tags": pipeline.tags,
        "enabled": pipeline.enabled,
        "version": pipeline.version,
        "source_kind": pipeline.source_kind,
        "destination_kind": pipeline.destination_kind,
        "stream": pipeline.stream,
        "stream_count": pipeline.stream_count,
        "schedule": render_schedule(schedule) if schedule else None,
        "next_run_at": schedule.next_run_at if schedule else None,
        "last_run": _render_last_run(pipeline),
        "freshness": freshness_of(pipeline),
        "last_success_at": pipeline.last_success_at,
        "failing_since": pipeline.failing_since,
        "late_at": pipeline.late_at,
        "created_at": pipeline.created_at,
        "updated_at": pipeline.updated_at,
        "config": masked_config(version),
        "timeout_seconds": pipeline.timeout_seconds,
        "max_attempts": pipeline.max_attempts,
        "warnings": targets.warnings(org, by, pipeline),
    }


def masked_config(version: PipelineVersion) -> Document:
    """Return the definition with its secrets masked."""
    return definition.mask(version.definition, version.secret_hints)


def render_version(version: PipelineVersion) -> VersionRow:
    return {
        "number": version.number,
        "note": version.note,
        "created_at": version.created_at,
        "created_by": render_person(version.created_by),
    }


def render_schedule(schedule: Schedule) -> ScheduleDetail:
    return {
        "cron": schedule.cron or None,
        "interval_seconds": schedule.interval_seconds,
        "timezone": schedule.timezone,
        "overlap": schedule.overlap,
        "misfire": schedule.misfire,
        "jitter_seconds": schedule.jitter_seconds,
        "blackouts": schedule.blackouts,
        "end_date": schedule.end_date,
        "paused_at": schedule.paused_at,
        "paused_note": schedule.paused_note,
        "paused_by": render_person(schedule.paused_by),
    }


def render_person(user: User | None) -> Person | None:
    return {"id": user.pk, "name": user.name or user.email} if user else None


def _render_last_run(pipeline: Pipeline) -> LastRun | None:
    if pipeline.last_run_id is None:
        return None
    return {
        "id": pipeline.last_run_id,
        "status": pipeline.last_run_status,
        "kind": pipeline.last_run_kind,
        "finished_at": pipeline.last_run_finished_at,
        "records": pipeline.last_run_records,
        "duration_seconds": pipeline.last_run_seconds,
    }
