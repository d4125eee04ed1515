"""Register what the worker process runs for this app."""

from __future__ import annotations

from apps.background.registry import Export, Queue, add_exports, add_queue
from apps.pipelines import removal
from apps.pipelines.models import Dependency, Pipeline, PipelineVersion, RunAfter, Schedule

add_queue(Queue(removal.QUEUE, concurrency=1, retries_lost_jobs=True))
add_exports(
    Export(
        "pipeline",
        Pipeline,
        ("id", "name", "description", "enabled", "domain_id", "tags", "version", "created_at"),
    ),
    Export(
        "pipeline_version",
        PipelineVersion,
        ("id", "pipeline_id", "number", "definition", "created_at"),
    ),
    Export(
        "schedule",
        Schedule,
        ("id", "pipeline_id", "cron", "interval_seconds", "timezone", "overlap", "misfire"),
    ),
    Export("run_after", RunAfter, ("id", "pipeline_id", "mode", "window_seconds")),
    Export("dependency", Dependency, ("id", "pipeline_id", "upstream_id", "used_until")),
)
