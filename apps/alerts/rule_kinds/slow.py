"""A run that has succeeded took longer than usual."""

from __future__ import annotations

from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.sensitivity import SENSITIVITY
from apps.alerts.rule_kinds.texts import duration_in_words
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.alerts.usual.bands import Band, usual_band
from apps.runs.models import Status

MIN_EXCESS = (
    60.0  # seconds above the usual duration: nobody is told of a run of 20 seconds instead of 5
)


def judge(end: EndOfRun) -> Verdict:
    if end.run.status != Status.SUCCEEDED or end.run.seconds is None:
        return Outcome.UNKNOWN
    usual = end.history
    sensitivity = end.settings["sensitivity"]
    band = usual_band(usual.seconds, usual.weekday, sensitivity=sensitivity)
    return judge_duration(end.run.seconds, band)


def judge_duration(seconds: float, band: Band | None) -> Verdict:
    if band is None:
        return Outcome.UNKNOWN
    if seconds <= band.high or seconds - band.usual < MIN_EXCESS:
        return Outcome.GOOD
    return Finding(
        f"took {duration_in_words(seconds)}, and usually {duration_in_words(band.usual)} "
        f"and at most {duration_in_words(band.high)}",
        {"value": seconds, "low": None, "high": band.high, "unit": "seconds"},
    )


KIND = Kind(
    title="A run is slow",
    condition="A run is slow (sensitivity: {sensitivity})",
    description=(
        "A run took longer than the runs before it, on this weekday and at this time of day, and a minute longer than "
        "usual. It needs ten earlier runs."
    ),
    label="Slow",
    settings=settings_schema(sensitivity=SENSITIVITY),
    judge=judge,
    recovered="is no longer slow: its last run took as long as usual",
)
