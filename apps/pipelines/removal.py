"""Asking that what a deleted pipeline leaves outside its rows be removed: logs, files, the engine's memory.

Where they are is known to apps.runs, which this room may not import: it answers to the task's name.
"""

from __future__ import annotations

from uuid import UUID

from apps.background import jobs

REMOVE = "pipelines.remove_remains"
QUEUE = "removals"  # work that may take long and nobody waits for


def ask(*, org_id: UUID, pipeline_id: UUID) -> None:
    """One job, which begins when this transaction is committed. Asking twice does no harm."""
    about = {"org_id": str(org_id), "pipeline_id": str(pipeline_id)}
    jobs.defer(REMOVE, queue=QUEUE, about=about)
