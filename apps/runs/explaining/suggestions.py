"""Suggest a change of a pipeline's settings, where one would help."""

from __future__ import annotations

from apps.engine.failures import FailureClass
from apps.runs.explaining.findings import PipelineFacts, SuggestedChange
from apps.runs.explaining.timing import typical_duration
from apps.runs.next_steps import TIMEOUT_STEPS
from apps.runs.snapshots import FailureSnapshot

MAX_TIMEOUT = 7 * 86400  # seconds
MORE_ATTEMPTS = 3
INTERVALS = (300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)  # seconds
CAUSED_BY_SETTINGS = frozenset(
    {
        FailureClass.CONFIGURATION,
        FailureClass.CONTRACT,
        FailureClass.SOURCE,
        FailureClass.DESTINATION,
        FailureClass.MEMORY,
    }
)
RESERVE = 1.2  # an interval is this many times as long as a run


def suggest_change(facts: PipelineFacts) -> SuggestedChange | None:
    """Return the change that helps most, or None. A user has to approve it before it is made."""
    run = facts.newest_failure
    if run is not None and run["failure"] is not None:
        return _change_after_failure(facts, run["failure"]) or _restored_version(facts)
    if not facts.pipeline.enabled:
        reason = "The pipeline is disabled. Its schedule starts runs only if it is enabled."
        return SuggestedChange(reason, enabled=True)
    if facts.schedule and facts.schedule.paused_at is not None:
        reason = "The schedule is paused. It starts runs only after it is resumed."
        return SuggestedChange(reason, paused=False)
    return _longer_interval(facts)


def _restored_version(facts: PipelineFacts) -> SuggestedChange | None:
    """Suggest to undo the change between the last successful run and the first failed one, if it is not undone yet."""
    success, failure, newest = facts.last_success, facts.first_failure, facts.newest_failure
    if success is None or failure is None or newest is None or newest["failure"] is None:
        return None
    if newest["failure"]["class"] not in CAUSED_BY_SETTINGS or newest["failure"]["retryable"]:
        return None
    was_changed = success["version"] < failure["version"] == newest["version"]
    if not was_changed or newest["version"] != facts.pipeline.version:
        return None
    number = success["version"]
    reason = (
        f"Runs of version {number} succeeded, and the runs of version {newest['version']} fail. Restoring version"
        f" {number} undoes the change."
    )
    return SuggestedChange(reason, restored_version=number)


def _change_after_failure(facts: PipelineFacts, failure: FailureSnapshot) -> SuggestedChange | None:
    pipeline = facts.pipeline
    reached_time_limit = not any(text in failure["message"] for text in TIMEOUT_STEPS)
    if failure["class"] == FailureClass.TIMEOUT and reached_time_limit:
        seconds = min(2 * pipeline.timeout_seconds, MAX_TIMEOUT)
        reason = "The run reached the pipeline's time limit. A longer limit lets it finish."
        if seconds > pipeline.timeout_seconds:
            return SuggestedChange(reason, timeout_seconds=seconds)
    if failure["class"] == FailureClass.RATE_LIMIT:
        return _rarer_runs(facts)
    if failure["retryable"] and pipeline.max_attempts == 1:
        reason = "The failure may pass by itself, and the pipeline tries only once."
        return SuggestedChange(reason, max_attempts=MORE_ATTEMPTS)
    return None


def _rarer_runs(facts: PipelineFacts) -> SuggestedChange | None:
    interval = facts.schedule.interval_seconds if facts.schedule else None
    if not interval:
        return None
    reason = "The other side limits the number of requests, so run the pipeline less often."
    return SuggestedChange(reason, interval_seconds=2 * interval)


def _longer_interval(facts: PipelineFacts) -> SuggestedChange | None:
    interval = facts.schedule.interval_seconds if facts.schedule else None
    duration = typical_duration(facts)
    if not interval or duration is None or duration <= interval:
        return None
    longer = next((seconds for seconds in INTERVALS if seconds > RESERVE * duration), None)
    if longer is None:
        return None
    reason = "Runs usually take longer than the interval, so some of them cannot start in time."
    return SuggestedChange(reason, interval_seconds=longer)
