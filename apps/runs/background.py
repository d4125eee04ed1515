"""Register what the worker process runs for this app."""

from __future__ import annotations

from apps.background.registry import (
    Check,
    Export,
    Queue,
    add_checks,
    add_eraser,
    add_exports,
    add_queue,
    add_sweep,
    add_worker_part,
)
from apps.live.checks import check_events
from apps.runs.claiming import queue, reconciler, workers
from apps.runs.file_watches import looking
from apps.runs.keeping import closing
from apps.runs.models import Run, UpstreamRun, Usage

add_queue(Queue(queue.RUNS, concurrency=None))
add_queue(Queue(looking.QUEUE, concurrency=2))
add_worker_part(workers.execute_runs)
add_sweep(reconciler.delete_old_details)
add_checks(Check("events", check_events))
add_eraser(closing.remove_org_data)
add_exports(
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
            "records_skipped",
            "bytes",
            "failure_class",
            "failure_message",
        ),
    ),
    Export("upstream_run", UpstreamRun, ("id", "run_id", "upstream_id", "upstream_run_id")),
    Export("usage", Usage, ("id", "month", "rows", "bytes", "runs")),
)
