"""The freshness of a pipeline over time, from its runs and by the rule of apps.pipelines.schedules.freshness.

Earlier schedules are not considered: each success counts as if the schedule of today had been there. The last point is that
of now, and has the freshness that the pipeline shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypedDict

from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.schedules.freshness import compute_late_at


class EndedRun(TypedDict):
    """A run that has succeeded or failed."""

    has_succeeded: bool
    started_at: datetime | None
    finished_at: datetime


class FreshnessPoint(TypedDict):
    """The age of the data when a run ended, before its records arrived, and the age from which on they are late."""

    at: datetime
    freshness: str
    age_seconds: float | None
    late_after_seconds: float | None


class FreshnessOverTime(TypedDict):
    """`fresh_share` is the share of the time since the first point; None if no time has passed."""

    points: list[FreshnessPoint]
    fresh_share: float | None


def over_time(
    pipeline: Pipeline,
    schedule: Schedule | None,
    runs: Sequence[EndedRun],
    *,
    earlier: EndedRun | None,
    now: datetime,
) -> FreshnessOverTime | None:
    """Return the freshness at the end of each run and now. None without an active schedule. `earlier` ended before `runs`."""
    if schedule is None or schedule.paused_at is not None or not pipeline.enabled or not runs:
        return None
    walk = _Walk(schedule)
    if earlier is not None:
        walk.end_run(earlier)
    for run in sorted(runs, key=lambda each: each["finished_at"]):
        walk.add_point(run["finished_at"], fails=not run["has_succeeded"])
        walk.end_run(run)
    # What is stored also considers a schedule that was changed, enabled or resumed after the last success.
    walk.success, walk.late_at = pipeline.last_success_at, pipeline.late_at
    walk.is_failing = pipeline.failing_since is not None
    walk.add_point(now)
    total = sum(walk.seconds.values())
    share = walk.seconds["fresh"] / total if total else None
    return {"points": walk.points, "fresh_share": share}


@dataclass
class _Walk:
    """Goes from the end of one run to the end of the next."""

    schedule: Schedule
    success: datetime | None = None
    late_at: datetime | None = None
    is_failing: bool = False
    points: list[FreshnessPoint] = field(default_factory=list)
    seconds: dict[str, float] = field(
        default_factory=lambda: {"fresh": 0.0, "late": 0.0, "failing": 0.0}
    )

    def end_run(self, run: EndedRun) -> None:
        if not run["has_succeeded"]:
            self.is_failing = True
            return
        self.is_failing, self.success = False, run["finished_at"]
        started = run["started_at"] or run["finished_at"]
        self.late_at = compute_late_at(
            self.schedule,
            after=self.success,
            jitter_seconds=self.schedule.jitter_seconds,
            last_duration=max(timedelta(0), self.success - started),
        )

    def add_point(self, at: datetime, *, fails: bool = False) -> None:
        """Add the state just before `at`. The end of a run that fails counts as failing."""
        if self.points:
            self._add_seconds(self.points[-1]["at"], at)
        age = allowed = None
        if self.success is not None:
            age = (at - self.success).total_seconds()
            allowed = (self.late_at - self.success).total_seconds() if self.late_at else None
        self.points.append(
            {
                "at": at,
                "freshness": "failing" if fails else self._freshness_at(at),
                "age_seconds": age,
                "late_after_seconds": allowed,
            }
        )

    def _freshness_at(self, at: datetime) -> str:
        if self.is_failing:
            return "failing"
        if self.late_at is not None and self.late_at <= at:
            return "late"
        return "fresh" if self.late_at is not None and self.success is not None else "none"

    def _add_seconds(self, start: datetime, end: datetime) -> None:
        """Add the time between two points, which is fresh until it is late. Time before the first success is not counted."""
        if self.is_failing:
            self.seconds["failing"] += (end - start).total_seconds()
        elif self.success is not None:
            late_from = min(max(self.late_at or end, start), end)
            self.seconds["fresh"] += (late_from - start).total_seconds()
            self.seconds["late"] += (end - late_from).total_seconds()
