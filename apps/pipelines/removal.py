"""Defer the removal of a pipeline's data that is not deleted with its row: logs, files and the engine's state.

apps.runs implements the task. This app may not import apps.runs, so it defers the task by its name.
"""

from __future__ import annotations

from uuid import UUID

from apps.background import jobs
from apps.connectors.storage import REMOVALS

TASK = "pipelines.remove_remains"
QUEUE = REMOVALS


def request_removal(*, org_id: UUID, pipeline_id: UUID) -> None:
    """Defer the job. It starts after this transaction is committed. Safe to call twice."""
    arguments = {"org_id": str(org_id), "pipeline_id": str(pipeline_id)}
    jobs.defer(TASK, queue=QUEUE, arguments=arguments)
