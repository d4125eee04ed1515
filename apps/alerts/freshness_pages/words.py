"""The words of public pages and badges."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.utils.timesince import timesince

from apps.alerts.freshness_pages.contents import Contents, Incident, PipelineState

STATES = {"failing": "Failing", "late": "Late", "fresh": "Fresh", "none": "Not scheduled"}
NO_DATA = "No data yet"
MINUTE = timedelta(minutes=1)
INCIDENTS = {"failed": "Updates failed", "late": "Late", "no_new_data": "No new data"}


def state_of(pipeline: PipelineState) -> str:
    if pipeline.freshness == "none" and pipeline.updated_at is None:
        return NO_DATA
    return STATES[pipeline.freshness]


def summary_of(contents: Contents) -> str:
    """Return the state of the page in a few words, such as `2 late` or `Fresh`."""
    count = sum(pipeline.freshness == contents.freshness for pipeline in contents.pipelines)
    if contents.freshness in ("failing", "late"):
        return f"{count} {STATES[contents.freshness].lower()}"
    if contents.freshness == "none" and all(one.updated_at is None for one in contents.pipelines):
        return NO_DATA
    return STATES[contents.freshness]


def headline_of(contents: Contents) -> str:
    """Return the state of the page, such as `1 failing and 2 late of 5`."""
    counts = Counter(pipeline.freshness for pipeline in contents.pipelines)
    urgent = [f"{counts[state]} {state}" for state in ("failing", "late") if counts[state]]
    if urgent and len(contents.pipelines) > 1:
        return f"{' and '.join(urgent)} of {len(contents.pipelines)}"
    return STATES[contents.freshness] if urgent else summary_of(contents)


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago that was, such as `5 minutes ago`."""
    return "just now" if now - at < MINUTE else f"{_between(at, now, depth=1)} ago"


def duration_of(incident: Incident, now: datetime) -> str:
    """Return how long it took, or has been open, such as `2 hours, 5 minutes`."""
    end = incident.closed_at or now
    is_short = end - incident.opened_at < MINUTE
    return "less than a minute" if is_short else _between(incident.opened_at, end, depth=2)


def _between(start: datetime, end: datetime, *, depth: int) -> str:
    return timesince(start, end, depth=depth).replace("\xa0", " ")
