"""Convert a schedule from a request to the values of a Schedule row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from apps.connectors.schemas import Error, joined, unknown_fields
from apps.orgs.exceptions import Invalid
from apps.pipelines.models import Misfire, Overlap, Schedule
from apps.pipelines.schedules.cron import CronError, parse
from apps.pipelines.schedules.times import (
    LONGEST_INTERVAL,
    LONGEST_JITTER,
    SHORTEST_INTERVAL,
    zones,
)

FIELDS = ("cron", "interval_seconds", "timezone", "overlap", "misfire", "jitter_seconds")


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule without its pipeline. Either `cron` or `interval_seconds` (seconds) is set."""

    cron: str = ""
    interval_seconds: int | None = None
    timezone: str = "UTC"
    overlap: str = Overlap.SKIP
    misfire: str = Misfire.RUN_ONCE
    jitter_seconds: int = 0

    @property
    def next_run_at(self) -> datetime | None:
        """Always None: no run is planned yet."""
        return None


def of(schedule: Schedule | None) -> Plan | None:
    """Return the plan of a row."""
    return Plan(**{name: getattr(schedule, name) for name in FIELDS}) if schedule else None


def read(
    sent: Any, *, before: Plan | None = None, path: str = "schedule"
) -> tuple[Plan | None, list[Error]]:
    """Return (the plan, or None for no schedule; errors).

    A string is a cron expression in UTC. With `before`, values that are not sent are kept from it.
    """
    if sent is None:
        return None, []
    if isinstance(sent, str):
        sent = {"cron": sent, "timezone": "UTC"}
    if not isinstance(sent, Mapping):
        return None, [(path, "Must be null, a cron expression or an object.", "type")]
    reading = _Reading(path)
    plan = reading.plan(sent, before or Plan())
    return plan, reading.errors


def required(sent: Any) -> Plan:
    """Return the plan of a required schedule. Raises Invalid."""
    plan, errors = read(sent)
    if errors or plan is None:
        raise Invalid(errors or [("schedule", "This field is required.", "required")])
    return plan


class _Reading:
    """Parses each field once and collects the errors."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.errors: list[Error] = []

    def fail(self, name: str, message: str, code: str = "invalid") -> None:
        self.errors.append((joined(self.path, name), message, code))

    def plan(self, sent: Mapping[str, Any], before: Plan) -> Plan:
        self.errors += unknown_fields(sent, FIELDS, self.path)
        plan = replace(
            before,
            timezone=self._zone(sent.get("timezone"), before.timezone),
            overlap=self._word(sent.get("overlap"), "overlap", Overlap.values, before.overlap),
            misfire=self._word(sent.get("misfire"), "misfire", Misfire.values, before.misfire),
            jitter_seconds=self._seconds(
                sent.get("jitter_seconds"), "jitter_seconds", 0, LONGEST_JITTER
            )
            if sent.get("jitter_seconds") is not None
            else before.jitter_seconds,
        )
        return self._rhythm(sent, plan)

    def _rhythm(self, sent: Mapping[str, Any], plan: Plan) -> Plan:
        cron, interval = sent.get("cron"), sent.get("interval_seconds")
        if cron and interval is not None:
            self.fail("cron", "Set cron or interval_seconds, not both.", "ambiguous")
        elif cron:
            return replace(plan, cron=self._cron(cron), interval_seconds=None)
        elif interval is not None:
            seconds = self._seconds(
                interval, "interval_seconds", SHORTEST_INTERVAL, LONGEST_INTERVAL
            )
            return replace(plan, cron="", interval_seconds=seconds)
        elif not plan.cron and plan.interval_seconds is None:
            self.fail("cron", "Set cron or interval_seconds.", "required")
        return plan

    def _cron(self, text: Any) -> str:
        if not isinstance(text, str):
            self.fail("cron", "Must be a string of five fields.", "type")
            return ""
        try:
            parse(text)
        except CronError as error:
            self.fail("cron", str(error))
        return " ".join(text.split())

    def _zone(self, name: Any, before: str) -> str:
        if name is None:
            return before
        if not isinstance(name, str) or name not in zones():
            self.fail("timezone", "Not an IANA time zone; examples: UTC, Europe/Paris.", "unknown")
            return before
        return name

    def _word(self, value: Any, name: str, words: list[str], before: str) -> str:
        if value is None:
            return before
        if not isinstance(value, str) or value not in words:
            self.fail(name, f"Must be one of {', '.join(words)}.", "choice")
            return before
        return value

    def _seconds(self, value: Any, name: str, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fail(name, f"Must be a whole number of seconds from {low} to {high}.")
            return low
        return value
