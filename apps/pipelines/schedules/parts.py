"""The parts of a schedule that were read from English words, and the plan that they make."""

from __future__ import annotations

from dataclasses import dataclass

from apps.pipelines.schedules.plans import Plan


@dataclass
class ScheduleParts:
    """How often, on which days, and at which times a schedule runs."""

    by_hand: bool = False
    count: int | None = None  # "6" in "every 6 hours"
    unit: int = 0  # seconds of "hour"; 0 if days are named instead
    weekdays: str = "*"
    day_of_month: str = "*"
    minute: int | None = None  # "at minute 5"
    times: tuple[tuple[int, int], ...] = ()
    usual_time: tuple[int, int] | None = None  # of "every morning", if no time is given
    zone: str = ""

    def plan(self) -> Plan | str:
        """Return the schedule of what was read, or the reason why there is none."""
        zone = self.zone or "UTC"
        if any(hour > 23 or minute > 59 for hour, minute in self.times):
            return "A time of day is from 00:00 to 23:59."
        if self.count == 0:
            return "An interval is from one minute to 366 days."
        if self.unit and self.unit <= 3600:
            return self._plan_within_a_day(zone)
        if self.count is not None and self.unit and not self._is_daily:
            return self._plan_of_days(zone)
        if self.unit and not self.times:
            return Plan(interval_seconds=self.unit, timezone=zone)
        if self.unit == 604_800:
            self.weekdays = "1"
        times = self.times or (self.usual_time or (0, 0),)
        hours = sorted({hour for hour, _ in times})
        minutes = {minute for _, minute in times}
        if len(minutes) > 1:
            return "Several times on a day need the same minute: write a cron expression instead."
        hour_field = ",".join(map(str, hours))
        fields = f"{minutes.pop()} {hour_field} {self.day_of_month} * {self.weekdays}"
        return Plan(cron=fields, timezone=zone)

    @property
    def _is_daily(self) -> bool:
        return self.count == 1 and bool(self.times)

    def _plan_of_days(self, zone: str) -> Plan | str:
        seconds = (self.count or 1) * self.unit
        if self.times or self.weekdays != "*":
            return "An interval of several days has no time of day. Say, for example, every 2 days, or every Monday at 6:00."
        return Plan(interval_seconds=seconds, timezone=zone)

    def _plan_within_a_day(self, zone: str) -> Plan | str:
        count, has_minute = self.count or 1, self.minute is not None
        if self.times or self.weekdays != "*" or self.day_of_month != "*":
            return "An interval cannot have times or days: write a cron expression instead."
        if has_minute and self.unit == 3600:
            if self.count is None:
                return Plan(cron=f"{self.minute} * * * *", timezone=zone)
            if 24 % count == 0 and count < 24:
                return Plan(cron=f"{self.minute} */{count} * * *", timezone=zone)
        if has_minute:
            return "Only a number of hours that divides a day can start at a fixed minute."
        if self.zone and self.unit == 60 and 60 % count == 0 and count < 60:
            return Plan(cron=f"*/{count} * * * *", timezone=zone)
        return Plan(interval_seconds=count * self.unit, timezone=zone)
