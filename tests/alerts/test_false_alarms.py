"""A simulation: 200 daily pipelines, 56 days to learn, then 30 days. There are few false alarms, and faults are found.

The values have log-normal noise with a sigma of 0.3, and each weekday has a factor from 0.3 to 1. Two in a hundred runs end
late, but within the allowance. The seeds are fixed, so the result is always the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from apps.alerts.rule_kinds.slow import judge_duration
from apps.alerts.rule_kinds.verdicts import Finding, Verdict
from apps.alerts.rule_kinds.volume import judge_volume
from apps.alerts.usual.bands import Sample, usual_band
from apps.alerts.usual.history import DAYS
from apps.pipelines.schedules.freshness import compute_late_at
from apps.pipelines.schedules.plans import Plan
from apps.pipelines.schedules.times import next_times

PIPELINES, LEARNING_DAYS, WATCHED_DAYS = 200, 56, 30
FAULTY_PIPELINES = 100  # for each fault
SIGMA, LATE_SHARE = 0.3, 0.02
SCHEDULE = Plan(cron="0 6 * * *", timezone="Europe/Paris")
START = datetime(2026, 8, 20, tzinfo=UTC)  # the clocks are set back in the 30 days
SLOTS = next_times(SCHEDULE, START, LEARNING_DAYS + WATCHED_DAYS)


@dataclass
class Day:
    """One run of a simulated pipeline, or none."""

    number: int
    slot: datetime
    seconds: float
    records: float
    ends_after: timedelta  # the slot
    is_missing: bool = False


@dataclass
class Simulated:
    """A pipeline with a usual duration and volume, and a factor for each weekday."""

    seed: int
    factors: list[float] = field(init=False)
    seconds: float = field(init=False)
    records: float = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.factors = [self.random.uniform(0.3, 1.0) for _ in range(7)]
        self.seconds = 10 ** self.random.uniform(1.5, 3.5)
        self.records = 10 ** self.random.uniform(2, 6)

    def days(self) -> Iterator[Day]:
        for number, slot in enumerate(SLOTS):
            factor = self.factors[slot.weekday()]
            seconds = self.seconds * factor * self.random.lognormvariate(0, SIGMA)
            is_late = self.random.random() < LATE_SHARE
            delay = timedelta(minutes=self.random.uniform(10, 60)) if is_late else timedelta()
            yield Day(
                number - LEARNING_DAYS,
                slot,
                seconds,
                round(self.records * factor * self.random.lognormvariate(0, SIGMA)),
                delay + timedelta(seconds=seconds),
            )


def alarms(days: Iterator[Day]) -> list[tuple[int, str]]:
    """Return the days and kinds of the alerts that open after the learning days."""
    opened: list[tuple[int, str]] = []
    is_open = {"slow": False, "volume": False}
    earlier: list[Day] = []
    for day in days:
        recent = earlier[-DAYS:]
        if day.number < 0:
            earlier.append(day)
            continue
        if day.is_missing:
            if _is_late(recent[-1], before=day.slot + timedelta(days=1)):
                opened.append((day.number, "late"))
            continue
        if recent and _is_late(recent[-1], before=day.slot + day.ends_after):
            opened.append((day.number, "late"))
        for kind, verdict in _judge(day, recent):
            if isinstance(verdict, Finding) and not is_open[kind]:
                opened.append((day.number, kind))
            is_open[kind] = isinstance(verdict, Finding)
        earlier.append(day)
    return opened


def _is_late(last: Day, *, before: datetime) -> bool:
    success = last.slot + last.ends_after
    duration = timedelta(seconds=last.seconds)
    late_at = compute_late_at(SCHEDULE, after=success, last_duration=duration)
    return late_at is not None and late_at <= before


def _judge(day: Day, recent: list[Day]) -> Iterator[tuple[str, Verdict]]:
    weekday = day.slot.weekday()
    seconds = [Sample(each.seconds, each.slot.weekday()) for each in recent]
    band = usual_band(seconds, weekday, sensitivity="normal")
    yield "slow", judge_duration(day.seconds, band)
    records = [Sample(each.records, each.slot.weekday()) for each in recent]
    band = usual_band(records, weekday, sensitivity="normal")
    yield "volume", judge_volume(int(day.records), records, band)


def false_alarms(*, first_seed: int = 0) -> list[tuple[int, str]]:
    """Return the alerts of pipelines without a fault."""
    seeds = range(first_seed, first_seed + PIPELINES)
    return [alarm for seed in seeds for alarm in alarms(Simulated(seed).days())]


def test_there_are_few_false_alarms() -> None:
    found = false_alarms()
    assert len(found) / PIPELINES <= 0.1, found


def _no_records(day: Day) -> None:
    day.records = 0


def _tenth_of_the_records(day: Day) -> None:
    day.records = round(day.records / 10)


def _eight_times_the_records(day: Day) -> None:
    day.records *= 8


def _six_times_the_duration(day: Day) -> None:
    day.seconds *= 6
    day.ends_after = timedelta(seconds=day.seconds)


def _no_run(day: Day) -> None:
    day.is_missing = True


FAULTS: list[tuple[str, Callable[[Day], None]]] = [
    ("volume", _no_records),
    ("volume", _tenth_of_the_records),
    ("volume", _eight_times_the_records),
    ("slow", _six_times_the_duration),
    ("late", _no_run),
]


def share_found(kind: str, fault: Callable[[Day], None]) -> float:
    """Return in which share of the pipelines the fault is found on its two days."""
    found = 0
    for seed in range(FAULTY_PIPELINES):
        begins = random.Random(-seed - 1).randrange(WATCHED_DAYS - 1)

        def with_fault(seed: int = seed, begins: int = begins) -> Iterator[Day]:
            for day in Simulated(seed).days():
                if day.number > begins + 1:
                    return  # what opens later does not count
                if begins <= day.number <= begins + 1:
                    fault(day)
                yield day

        found += any(
            begins <= number <= begins + 1 and name == kind for number, name in alarms(with_fault())
        )
    return found / FAULTY_PIPELINES


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_faults_are_found_within_two_periods(kind: str, fault: Callable[[Day], None]) -> None:
    assert share_found(kind, fault) >= 0.95
