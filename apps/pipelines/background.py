"""Register what the worker process runs for this app."""

from __future__ import annotations

from apps.background.registry import Export, Queue, add_exports, add_queue, add_sweep
from apps.pipelines import removal
from apps.pipelines.hooks.services import remove_old_calls
from apps.pipelines.models import (
    Dependency,
    FileWatch,
    Hook,
    HookCall,
    Pipeline,
    PipelineVersion,
    RunAfter,
    Schedule,
)

add_queue(Queue(removal.QUEUE, concurrency=1, retries_lost_jobs=True))
add_sweep(remove_old_calls)
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
        (
            "id",
            "pipeline_id",
            "cron",
            "interval_seconds",
            "timezone",
            "overlap",
            "misfire",
            "blackouts",
            "end_date",
        ),
    ),
    Export("run_after", RunAfter, ("id", "pipeline_id", "mode", "window_seconds")),
    Export("dependency", Dependency, ("id", "pipeline_id", "upstream_id", "used_until")),
    Export(
        "file_watch", FileWatch, ("id", "pipeline_id", "enabled", "minutes", "looked_at", "files")
    ),
    Export(
        "hook",
        Hook,
        ("id", "pipeline_id", "name", "credential", "enabled", "last_used_at", "created_at"),
    ),
    Export("hook_call", HookCall, ("id", "hook_id", "key", "run_id", "created_at")),
)
