"""The usual range of a value, from the values of earlier runs. docs/howto/alerts.md describes this rule for users.

Durations and numbers of records vary by factors, not by amounts, so everything is computed of log(1 + value).

- The centre is the median of the runs of the same weekday, if there are at least MIN_OF_WEEKDAY of them.
- The spread is the median absolute deviation of all runs from the centres of their weekdays, times 1.4826, which estimates
  the standard deviation of a normal distribution (Rousseeuw and Croux 1993, https://doi.org/10.1080/01621459.1993.10476408),
  but at least MIN_SPREAD. It is too small and the centre is uncertain if there are few runs, so it is multiplied by
  n / (n - 0.8) (same source) and by the square root of 1 + pi / 2n, with n runs behind the centre. Medians ignore a few outliers, so an incident does not become usual.
- The range is the centre plus and minus as many spreads as the sensitivity says.
- It includes what is not rare: all but the lowest and the highest RARE_SHARE of the runs, relative to their centres. So a
  pipeline that often has no records may have none, and a lasting change becomes usual, of daily runs within three weeks.
- With too few runs of the weekday, the centre is the median of all runs, and the range includes every one of them.
- With fewer than MIN_RUNS runs there is no range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1, log1p, pi, sqrt
from statistics import median

MIN_RUNS = 10
MIN_OF_WEEKDAY = 4
MIN_SPREAD = 0.1  # about 10 %
RARE_SHARE = 0.1
ROUNDING = 1e-9  # so that an earlier value is within a range of which it is the limit
SPREAD_OF_MAD = 1.4826
SPREADS = {"low": 6.0, "normal": 4.0, "high": 3.0}  # by sensitivity


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of an earlier run. `weekday` is from 0, Monday, in the time zone of the schedule."""

    value: float
    weekday: int


@dataclass(frozen=True, slots=True)
class Band:
    """A usual range. `runs` is the number of runs behind it, and `has_weekday` whether the weekday was considered."""

    low: float
    usual: float
    high: float
    runs: int
    has_weekday: bool


def usual_band(samples: Sequence[Sample], weekday: int, *, sensitivity: str) -> Band | None:
    """Return the usual range on this weekday, or None if there are too few samples."""
    if len(samples) < MIN_RUNS:
        return None
    logs = [(sample.weekday, log1p(max(sample.value, 0.0))) for sample in samples]
    centre_of_all = median(value for _, value in logs)
    centres = _centres_of_weekdays(logs)
    centre = centres.get(weekday)
    if centre is None:
        runs, middle = len(logs), centre_of_all
        residuals = sorted(value - middle for _, value in logs)
        low, high = residuals[0], residuals[-1]
    else:
        runs, middle = sum(day == weekday for day, _ in logs), centre
        residuals = sorted(value - centres[day] for day, value in logs if day in centres)
        rare = int(len(residuals) * RARE_SHARE)
        low, high = residuals[rare], residuals[-1 - rare]
    few_runs = runs / (runs - 0.8) * sqrt(1 + pi / 2 / runs)
    spread = SPREAD_OF_MAD * median(abs(residual) for residual in residuals) * few_runs
    width = max(spread, MIN_SPREAD) * SPREADS[sensitivity]
    return Band(
        low=expm1(max(middle + min(low, -width) - ROUNDING, 0.0)),
        usual=expm1(middle),
        high=expm1(middle + max(high, width) + ROUNDING),
        runs=len(samples),
        has_weekday=centre is not None,
    )


def _centres_of_weekdays(logs: Sequence[tuple[int, float]]) -> dict[int, float]:
    by_weekday: dict[int, list[float]] = {}
    for weekday, value in logs:
        by_weekday.setdefault(weekday, []).append(value)
    return {
        day: median(values) for day, values in by_weekday.items() if len(values) >= MIN_OF_WEEKDAY
    }
