"""The words of public pages and badges."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from django.utils.timesince import timesince

from apps.alerts.freshness_pages.contents import Contents, Incident, PipelineState
from apps.alerts.rule_kinds.texts import duration_in_words

STATES = {"failing": "Failing", "late": "Late", "fresh": "Fresh", "none": "Not scheduled"}
NO_DATA = "No data yet"
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
    if (now - at).total_seconds() < 60:
        return "just now"
    return f"{timesince(at, now, depth=1)} ago".replace("\xa0", " ")


def duration_of(incident: Incident, now: datetime) -> str:
    return duration_in_words(((incident.closed_at or now) - incident.opened_at).total_seconds())
