"""Where a pipeline's stream is, and moving it: what the engine remembers, guarded against running runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import psycopg
import structlog
from django.conf import settings

from apps.background.database_errors import first_line
from apps.engine import Progress
from apps.engine.sync import state
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.exceptions import RunInProgress
from apps.pipelines.models import Pipeline
from apps.runs.exceptions import NoPosition
from apps.runs.models import LIVE, Run

logger = structlog.get_logger(__name__)

UNFINISHED = frozenset({"started", "running"})


def shown(org_id: UUID, pipeline_id: UUID) -> dict[str, Any]:
    """Each stream's position; none before the first run."""
    found = state.read_state(settings.ENGINE_DATABASE_URL, stream_key(org_id, pipeline_id))
    return {"streams": [_rendered(found)] if found else []}


def checkpointed(org_id: UUID, pipeline_id: UUID) -> Progress | None:
    """What an unfinished sync has committed so far; None when there is none, or it cannot be asked now."""
    try:
        found = state.read_state(settings.ENGINE_DATABASE_URL, stream_key(org_id, pipeline_id))
    except psycopg.OperationalError as error:
        logger.warning("engine state cannot be read now", error=first_line(error))
        return None
    if found is None or found.status not in UNFINISHED:
        return None
    read = found.written + found.rejected
    return Progress(read, found.written, found.rejected, found.bytes, found.batches)


def put(*, org: Org, pipeline: Pipeline, by: Principal, position: dict[str, Any]) -> None:
    """The next incremental sync continues from `position`.

    Raises RunInProgress, and NoPosition before the first finished sync.
    """
    _refuse_while_live(org, pipeline)
    before = shown(org.pk, pipeline.pk)["streams"]
    key = stream_key(org.pk, pipeline.pk)
    if not state.continue_from(settings.ENGINE_DATABASE_URL, key, orjson.dumps(position).decode()):
        raise NoPosition
    _audit(org, pipeline, by, "state.put", [before[0]["state"] if before else None, position])


def reset(*, org: Org, pipeline: Pipeline, by: Principal) -> None:
    """The next run reads everything again. Raises RunInProgress."""
    _refuse_while_live(org, pipeline)
    state.reset(settings.ENGINE_DATABASE_URL, stream_key(org.pk, pipeline.pk))
    _audit(org, pipeline, by, "state.reset", None)


def stream_key(org_id: UUID, pipeline_id: UUID) -> str:
    """As RunSpec.stream_key makes it."""
    return f"{org_id}:{pipeline_id}"


def _refuse_while_live(org: Org, pipeline: Pipeline) -> None:
    live = Run.objects.for_org(org).filter(pipeline=pipeline, status__in=LIVE)
    if (run_id := live.values_list("id", flat=True).first()) is not None:
        raise RunInProgress(run_id)


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
