"""A run that has succeeded wrote more or fewer records than usual, or rejected too many of those that it read."""

from __future__ import annotations

from collections.abc import Sequence

from apps.alerts.rule_kinds.kind import Kind, settings_schema
from apps.alerts.rule_kinds.sensitivity import SENSITIVITY
from apps.alerts.rule_kinds.texts import count_in_words
from apps.alerts.rule_kinds.verdicts import EndOfRun, Finding, Outcome, Verdict
from apps.alerts.usual.bands import Band, Sample, usual_band
from apps.runs.models import Status

MIN_USUAL_OF_ZERO = (
    10  # usual records from which on a run without any is told, if no run before had none
)


def judge(end: EndOfRun) -> Verdict:
    run, settings = end.run, end.settings
    if run.status != Status.SUCCEEDED:
        return Outcome.UNKNOWN
    if rejected := judge_rejected(
        run.records_read, run.records_rejected, settings["rejected_percent"]
    ):
        return rejected
    usual = end.history
    band = usual_band(usual.records, usual.weekday, sensitivity=settings["sensitivity"])
    return judge_volume(run.records_written, usual.records, band)


def judge_rejected(read: int, rejected: int, percent: int) -> Finding | None:
    share = rejected / read if read else 0.0
    if share * 100 <= percent:
        return None
    return Finding(
        f"rejected {count_in_words(rejected)} of {count_in_words(read)} records, which is {share:.0%}",
        {"value": share, "low": None, "high": percent / 100, "unit": "share"},
    )


def judge_volume(written: int, samples: Sequence[Sample], band: Band | None) -> Verdict:
    if band is None:
        return Outcome.UNKNOWN
    is_unusual_zero = (
        written == 0
        and band.usual >= MIN_USUAL_OF_ZERO
        and all(sample.value > 0 for sample in samples)
    )
    if band.low <= written <= band.high and not is_unusual_zero:
        return Outcome.GOOD
    return Finding(
        f"wrote {count_in_words(written)} records, and usually {count_in_words(band.usual)} "
        f"(from {count_in_words(band.low)} to {count_in_words(band.high)})",
        {"value": written, "low": band.low, "high": band.high, "unit": "records"},
    )


KIND = Kind(
    title="The number of records is unusual",
    condition="The number of records is unusual (sensitivity: {sensitivity}), or more than {rejected_percent}% are rejected",
    description=(
        "A run wrote more or fewer records than the runs before it, on this weekday and at this time of day, or none at all, "
        "or it rejected too many. The comparison needs ten earlier runs."
    ),
    label="Unusual number of records",
    settings=settings_schema(
        sensitivity=SENSITIVITY,
        rejected_percent={
            "type": "integer",
            "title": "Rejected records in percent",
            "description": "An alert opens if a run has rejected more of the records that it has read.",
            "minimum": 0,
            "maximum": 100,
            "default": 10,
        },
    ),
    judge=judge,
    recovered="writes a usual number of records again",
)
