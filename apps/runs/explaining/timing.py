"""Why a pipeline has not run yet: its schedule, and the run that waits or runs now."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from apps.engine.failures import USER_CODE_PREFIXES
from apps.pipelines.dependencies import services as dependencies
from apps.pipelines.models import Schedule
from apps.pipelines.schedules import words
from apps.runs import snapshots
from apps.runs.claiming.admission import is_in_future
from apps.runs.explaining.findings import Evidence, PipelineFacts, cause_text, run_path
from apps.runs.models import Status
from apps.runs.snapshots import RunSnapshot


def timing_evidence(facts: PipelineFacts) -> Iterator[Evidence]:
    if not facts.pipeline.enabled:
        text = "The pipeline is disabled, so its schedule starts no runs."
        yield Evidence(text, facts.path)
    yield from (before := list(_dependency_evidence(facts)))
    if facts.schedule is not None or not before:
        yield from _schedule_evidence(facts)
    if (run := facts.live_run) is not None:
        yield _live_run_evidence(facts, run)
        yield from _failed_attempt_evidence(facts, run)
    yield from _duration_evidence(facts)


def _dependency_evidence(facts: PipelineFacts) -> Iterator[Evidence]:
    """Yield after which pipelines the pipeline runs, and why it does not run now."""
    shown, _ = dependencies.show(org=facts.org, by=facts.by, pipeline_id=facts.pipeline.pk)
    if shown["reason"]:
        yield Evidence(f"The pipeline runs after others. {shown['reason']}", facts.path)


def _duration_evidence(facts: PipelineFacts) -> Iterator[Evidence]:
    duration, interval = typical_duration(facts), _interval(facts)
    if duration is None or interval is None or duration <= interval:
        return
    text = f"Runs usually take {duration:,.0f} seconds, longer than the interval of {interval:,} seconds."
    yield Evidence(text, facts.path)


def typical_duration(facts: PipelineFacts) -> float | None:
    """Return the median duration of the newest successful runs in seconds, or None if there are none."""
    durations = [
        run["duration_seconds"]
        for run in facts.runs
        if run["status"] == Status.SUCCEEDED and run["duration_seconds"] is not None
    ]
    return median(durations) if durations else None


def _interval(facts: PipelineFacts) -> int | None:
    return facts.schedule.interval_seconds if facts.schedule else None


def _schedule_evidence(facts: PipelineFacts) -> Iterator[Evidence]:
    schedule = facts.schedule
    if schedule is None:
        text = "The pipeline has no schedule, so it runs only when somebody starts it."
        yield Evidence(text, facts.path)
    elif schedule.paused_at is not None:
        yield _pause_evidence(facts, schedule)
    elif schedule.next_run_at is not None:
        yield _next_run_evidence(facts, schedule)


def _pause_evidence(facts: PipelineFacts, schedule: Schedule) -> Evidence:
    person = schedule.paused_by
    name = f" by {person.name or person.email}" if person else ""
    text = f"The schedule has been paused{name} since {facts.time_text(schedule.paused_at)}."
    return Evidence(text, facts.path, quote=schedule.paused_note)


def _next_run_evidence(facts: PipelineFacts, schedule: Schedule) -> Evidence:
    due = schedule.next_run_at
    if facts.is_overdue:
        text = f"The run of {facts.time_text(due)} is due and was not created: ask an operator whether the scheduler works."
        return Evidence(text, facts.path)
    text = f"The schedule is: {words.describe(schedule)}. The next run is due at {facts.time_text(due)}."
    return Evidence(text, facts.path)


def _failed_attempt_evidence(facts: PipelineFacts, run: RunSnapshot) -> Iterator[Evidence]:
    """Yield why the last attempt failed, after which the run waits or runs again."""
    attempts = snapshots.attempts(facts.org.pk, run["id"]) if run["attempt"] else []
    failed = next((attempt for attempt in reversed(attempts) if attempt["failure"]), None)
    if failed is None or failed["failure"] is None:
        return
    message = failed["failure"]["message"]
    text = f"Its attempt {failed['number']} failed at {facts.time_text(failed['finished_at'])} {cause_text(failed['failure']['class'])}"
    by_code = message.startswith(USER_CODE_PREFIXES)
    yield Evidence(text, run_path(run), quote=message, by_code=by_code)


def _live_run_evidence(facts: PipelineFacts, run: RunSnapshot) -> Evidence:
    if run["status"] == Status.PENDING:
        reason, start = run["waiting_reason"], run["not_before"]
        if is_in_future(start):
            reason = f"{reason} at {facts.time_text(start)}"
        text = (
            f"A run has been waiting since {facts.time_text(run['created_at'])}: {reason}. It is number"
            f" {run['place_in_line']} in the organization's line."
        )
        return Evidence(text, run_path(run))
    progress = run["progress"]
    text = (
        f"A run started at {facts.time_text(run['started_at'])} is running: attempt {run['attempt']} of"
        f" {run['max_attempts']}, {progress['written']:,} records written."
    )
    if progress["eta_seconds"] is not None:
        text += f" It needs about {progress['eta_seconds']:,.0f} seconds more."
    return Evidence(text, run_path(run))
