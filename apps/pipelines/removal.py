"""Asking that what a deleted pipeline leaves outside its rows be removed: logs, files, the engine's memory.

Where they are is known to apps.runs, which this room may not import: it answers to the task's name.
"""

from __future__ import annotations

from uuid import UUID

from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

REMOVE = "pipelines.remove_remains"
QUEUE = "removals"  # work that may take long and nobody waits for

# Django's own connection, so that the job and the deletion are one transaction.
_jobs = JobManager(DjangoConnector())


def ask(*, org_id: UUID, pipeline_id: UUID) -> None:
    """One job, which begins when this transaction is committed. Asking twice does no harm."""
    job = configure_task(name=REMOVE, job_manager=_jobs, queue=QUEUE)
    job.defer(org_id=str(org_id), pipeline_id=str(pipeline_id))
