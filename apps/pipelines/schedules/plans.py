"""Validate the schedule of a request, and convert it to the values of a Schedule row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from apps.connectors.schemas import Error, join_path, unknown_fields
from apps.orgs.exceptions import Invalid
from apps.pipelines.models import Misfire, Overlap, Schedule
from apps.pipelines.schedules.blackout_parser import NOT_A_DAY, parse_day, parse_windows
from apps.pipelines.schedules.cron import CronError, parse
from apps.pipelines.schedules.times import (
    MAX_INTERVAL,
    MAX_JITTER,
    MIN_INTERVAL,
    next_run_at,
    time_zone_names,
)

UNKNOWN_ZONE = "Not an IANA time zone; examples: UTC, Europe/Paris."
NO_TIME_LEFT = "All times of the schedule are within its blackouts: remove one, change the times, or set misfire to run_once."
FIELDS = (
    "cron",
    "interval_seconds",
    "timezone",
    "overlap",
    "misfire",
    "jitter_seconds",
    "blackouts",
    "end_date",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """The values of a schedule. Either `cron` or `interval_seconds` is set."""

    cron: str = ""
    interval_seconds: int | None = None
    timezone: str = "UTC"
    overlap: str = Overlap.SKIP
    misfire: str = Misfire.RUN_ONCE
    jitter_seconds: int = 0
    blackouts: list[dict[str, Any]] = field(default_factory=list)
    end_date: date | None = None

    @property
    def next_run_at(self) -> datetime | None:
        """Always None, because no run is planned yet."""
        return None


def from_row(schedule: Schedule | None) -> Plan | None:
    """Return the plan of a Schedule row."""
    return Plan(**{name: getattr(schedule, name) for name in FIELDS}) if schedule else None


def parse_plan(
    value: Any, *, before: Plan | None = None, path: str = "schedule"
) -> tuple[Plan | None, list[Error]]:
    """Return the plan (None for no schedule) and the errors.

    A string is a cron expression in UTC. Missing values are taken from `before`.
    """
    if value is None:
        return None, []
    if isinstance(value, str):
        value = {"cron": value, "timezone": "UTC"}
    if not isinstance(value, Mapping):
        return None, [(path, "Must be null, a cron expression or an object.", "type")]
    parser = _PlanParser(path)
    plan = parser.parse(value, before or Plan())
    return plan, parser.errors


def parse_required(value: Any) -> Plan:
    """Return the plan of a required schedule. Raises Invalid."""
    plan, errors = parse_plan(value)
    if errors or plan is None:
        raise Invalid(errors or [("schedule", "This field is required.", "required")])
    return plan


class _PlanParser:
    """Parses each field once and collects the errors."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.errors: list[Error] = []

    def add_error(self, name: str, message: str, code: str = "invalid") -> None:
        self.errors.append((join_path(self.path, name), message, code))

    def parse(self, values: Mapping[str, Any], before: Plan) -> Plan:
        self.errors += unknown_fields(values, FIELDS, self.path)
        plan = replace(
            before,
            timezone=self._parse_time_zone(values.get("timezone"), before.timezone),
            overlap=self._parse_choice(
                values.get("overlap"), "overlap", Overlap.values, before.overlap
            ),
            misfire=self._parse_choice(
                values.get("misfire"), "misfire", Misfire.values, before.misfire
            ),
            jitter_seconds=self._parse_seconds(
                values.get("jitter_seconds"), "jitter_seconds", 0, MAX_JITTER
            )
            if values.get("jitter_seconds") is not None
            else before.jitter_seconds,
            end_date=self._parse_end_date(values["end_date"])
            if "end_date" in values
            else before.end_date,
        )
        plan = self._parse_timing(values, plan)
        return self._parse_blackouts(values.get("blackouts"), plan)

    def _parse_blackouts(self, value: Any, plan: Plan) -> Plan:
        """Set the blackouts, and refuse those that leave the schedule no time."""
        if value is not None:
            windows, errors = parse_windows(value, path=join_path(self.path, "blackouts"))
            self.errors += errors
            plan = replace(plan, blackouts=windows)
        if plan.blackouts and not self.errors:
            without_end = replace(plan, end_date=None)
            if next_run_at(without_end, timezone.now()) is None:
                self.add_error("blackouts", NO_TIME_LEFT)
        return plan

    def _parse_end_date(self, value: Any) -> date | None:
        if value is None:
            return None
        day = parse_day(value)
        if day is None:
            self.add_error("end_date", NOT_A_DAY)
        return day

    def _parse_timing(self, values: Mapping[str, Any], plan: Plan) -> Plan:
        cron, interval = values.get("cron"), values.get("interval_seconds")
        if cron and interval is not None:
            self.add_error("cron", "Set cron or interval_seconds, not both.", "ambiguous")
        elif cron:
            return replace(plan, cron=self._parse_cron(cron), interval_seconds=None)
        elif interval is not None:
            seconds = self._parse_seconds(interval, "interval_seconds", MIN_INTERVAL, MAX_INTERVAL)
            return replace(plan, cron="", interval_seconds=seconds)
        elif not plan.cron and plan.interval_seconds is None:
            self.add_error("cron", "Set cron or interval_seconds.", "required")
        return plan

    def _parse_cron(self, text: Any) -> str:
        if not isinstance(text, str):
            self.add_error("cron", "Must be a string of five fields.", "type")
            return ""
        try:
            parse(text)
        except CronError as error:
            self.add_error("cron", str(error))
        return " ".join(text.split())

    def _parse_time_zone(self, name: Any, before: str) -> str:
        if name is None:
            return before
        if not isinstance(name, str) or name not in time_zone_names():
            self.add_error("timezone", UNKNOWN_ZONE, "unknown")
            return before
        return name

    def _parse_choice(self, value: Any, name: str, choices: list[str], before: str) -> str:
        if value is None:
            return before
        if not isinstance(value, str) or value not in choices:
            self.add_error(name, f"Must be one of {', '.join(choices)}.", "choice")
            return before
        return value

    def _parse_seconds(self, value: Any, name: str, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.add_error(name, f"Must be a whole number of seconds from {low} to {high}.")
            return low
        return value
