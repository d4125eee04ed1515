"""Defer the removal of a deleted pipeline's data outside the database: logs, files, the engine's state.

apps.runs implements the task; this app may not import it, so the task is deferred by name.
"""

from __future__ import annotations

from uuid import UUID

from apps.background import jobs

REMOVE = "pipelines.remove_remains"
QUEUE = "removals"  # slow work with low priority


def ask(*, org_id: UUID, pipeline_id: UUID) -> None:
    """Defer one job, which starts when this transaction is committed. Safe to call twice."""
    about = {"org_id": str(org_id), "pipeline_id": str(pipeline_id)}
    jobs.defer(REMOVE, queue=QUEUE, about=about)
