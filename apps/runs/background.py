"""Register what the worker process runs for this app."""

from __future__ import annotations

from apps.background.registry import (
    Export,
    Queue,
    add_queue,
    erased,
    exported,
    lives_in_worker,
    swept,
)
from apps.runs.claiming import queue, reconciler, workers
from apps.runs.keeping import closing
from apps.runs.models import Run, Usage

add_queue(Queue(queue.RUNS, slots=None))
lives_in_worker(workers.executing_runs)
swept(reconciler.forget_details)
erased(closing.remove_everything)
exported(
    Export(
        "run",
        Run,
        (
            "id",
            "pipeline_id",
            "version",
            "status",
            "trigger",
            "attempt",
            "created_at",
            "started_at",
            "finished_at",
            "records_read",
            "records_written",
            "records_rejected",
            "bytes",
            "failure_class",
            "failure_message",
        ),
    ),
    Export("usage", Usage, ("id", "month", "rows", "bytes", "runs")),
)
