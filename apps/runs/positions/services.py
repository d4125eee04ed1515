"""Show and change the position of a pipeline's stream: the engine's state, protected against running runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import psycopg
import structlog
from django.conf import settings
from django.db import transaction

from apps.background.database_errors import first_line
from apps.engine import Progress
from apps.engine.contract import stream_key
from apps.engine.sync import state
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.models import Pipeline
from apps.pipelines.visibility import find_pipeline
from apps.runs import visibility
from apps.runs.exceptions import NoPosition
from apps.runs.models import LIVE, Run

logger = structlog.get_logger(__name__)

UNFINISHED = frozenset({"started", "running"})


def shown(*, org: Org, by: Principal, pipeline_id: UUID) -> dict[str, Any]:
    """Return each stream's position; none before the first run. Raises NotFound."""
    find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return {"streams": _streams(org.pk, pipeline_id)}


def checkpointed(org_id: UUID, pipeline_id: UUID) -> Progress | None:
    """Return what an unfinished sync has committed so far; None if there is none, or it cannot be read now."""
    try:
        found = state.read_state(settings.ENGINE_DATABASE_URL, stream_key(org_id, pipeline_id))
    except psycopg.OperationalError as error:
        logger.warning("engine state cannot be read now", error=first_line(error))
        return None
    if found is None or found.status not in UNFINISHED:
        return None
    read = found.written + found.rejected
    return Progress(read, found.written, found.rejected, found.bytes, found.batches)


def put(*, org: Org, by: Principal, pipeline_id: UUID, position: dict[str, Any]) -> dict[str, Any]:
    """Let the next incremental sync continue from `position`. Returns the new result of `shown`.

    Raises RunInProgress, and NoPosition before the first finished sync.
    """
    with transaction.atomic():
        pipeline = _movable(org, by, pipeline_id)
        before = _streams(org.pk, pipeline_id)
        key, text = stream_key(org.pk, pipeline_id), orjson.dumps(position).decode()
        if not state.continue_from(settings.ENGINE_DATABASE_URL, key, text):
            raise NoPosition
        change = [before[0]["state"] if before else None, position]
        _audit(org, pipeline, by, "state.put", change)
    return {"streams": _streams(org.pk, pipeline_id)}


def reset(*, org: Org, by: Principal, pipeline_id: UUID) -> dict[str, Any]:
    """Let the next run read everything again. Returns the new result of `shown`. Raises RunInProgress."""
    with transaction.atomic():
        pipeline = _movable(org, by, pipeline_id)
        state.reset(settings.ENGINE_DATABASE_URL, stream_key(org.pk, pipeline_id))
        _audit(org, pipeline, by, "state.reset", None)
    return {"streams": _streams(org.pk, pipeline_id)}


def _movable(org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    """Lock and return the pipeline, so that none of its runs can start before the change. Raises RunInProgress."""
    pipeline = visibility.pipeline_for(
        Permission.STATE_EDIT, org=org, by=by, pipeline_id=pipeline_id, lock=True
    )
    live = Run.objects.for_org(org).filter(pipeline=pipeline, status__in=LIVE)
    if (run_id := live.values_list("id", flat=True).first()) is not None:
        raise RunInProgress(run_id)
    return pipeline


def _streams(org_id: UUID, pipeline_id: UUID) -> list[dict[str, Any]]:
    found = state.read_state(settings.ENGINE_DATABASE_URL, stream_key(org_id, pipeline_id))
    return [_rendered(found)] if found else []


def _rendered(found: state.StreamState) -> dict[str, Any]:
    return {
        "stream": found.stream,
        "sync_mode": found.sync_mode,
        "status": found.status,
        "state": orjson.loads(found.incremental_state) if found.incremental_state else None,
        "batches": found.batches,
        "written": found.written,
        "rejected": found.rejected,
        "updated_at": found.updated_at or found.created_at,
    }


def _audit(
    org: Org, pipeline: Pipeline, by: Principal, action: str, change: list[Any] | None
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="pipeline",
        object_id=pipeline.pk,
        object_label=pipeline.name,
        changes={"state": change} if change else None,
    )
