from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from django.db import migrations

from apps.pipelines.schedules.times import next_times

BATCH = 500

# The last ordinary run that succeeded, and the first failure after it.
COPY_RUNS = """
UPDATE pipelines_pipeline p SET
    last_success_at = success.finished_at,
    last_success_seconds = greatest(0, EXTRACT(epoch FROM success.finished_at - success.started_at))::int,
    failing_since = (
        SELECT min(r.finished_at) FROM runs_run r
        WHERE r.pipeline_id = p.id AND r.status = 'failed' AND r.backfill_id IS NULL AND r.trigger <> 'replay'
        AND (success.finished_at IS NULL OR r.finished_at > success.finished_at))
FROM pipelines_pipeline q LEFT JOIN LATERAL (
    SELECT r.started_at, r.finished_at FROM runs_run r
    WHERE r.pipeline_id = q.id AND r.status = 'succeeded' AND r.backfill_id IS NULL AND r.trigger <> 'replay'
    ORDER BY r.finished_at DESC NULLS LAST LIMIT 1) success ON true
WHERE q.id = p.id
"""


def compute_late_at(schedule: Any, after: datetime, last_duration: timedelta) -> datetime | None:
    """Return what apps.pipelines.schedules.freshness returned in this release. Later changes of it are not copied here."""
    # Schedules have got blackouts and an end later.
    known = {name: getattr(schedule, name) for name in ("cron", "interval_seconds", "timezone", "next_run_at", "misfire")}
    slots = next_times(SimpleNamespace(**known, blackouts=(), end_date=None), after, 2)
    if not slots:
        return None
    half_interval = (slots[-1] - slots[0]) / 2
    allowance = max(
        timedelta(minutes=10), min(half_interval, timedelta(hours=2)), 2 * last_duration
    )
    return slots[0] + allowance + timedelta(seconds=schedule.jitter_seconds)


def set_late_at(apps: Any, schema_editor: Any) -> None:
    """Set when each pipeline with an active schedule is late. A schedule's `updated_at` is its last change by a member."""
    Pipeline = apps.get_model("pipelines", "Pipeline")
    Schedule = apps.get_model("pipelines", "Schedule")
    schedules = Schedule._base_manager.filter(paused_at=None, pipeline__enabled=True)
    pipelines = []
    for schedule in schedules.select_related("pipeline").iterator():
        pipeline = schedule.pipeline
        pipeline.late_at = compute_late_at(
            schedule,
            max(schedule.updated_at, pipeline.last_success_at or schedule.updated_at),
            timedelta(seconds=pipeline.last_success_seconds or 0),
        )
        pipelines.append(pipeline)
    Pipeline._base_manager.bulk_update(pipelines, ["late_at"], batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0023_backfills_of_whole_streams"),
        ("pipelines", "0018_freshness"),
    ]

    operations = [
        migrations.RunSQL(COPY_RUNS, migrations.RunSQL.noop),
        migrations.RunPython(set_late_at, migrations.RunPython.noop),
    ]
