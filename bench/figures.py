"""The results of measurements, and how they are printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One printed row: what was measured, against what, the median and its target."""

    name: str
    against: str
    value: str
    bar: str
    reached: bool
    runs: str  # all values, so that a reader sees the spread


@dataclass(frozen=True, slots=True)
class Taken:
    """One measured execution."""

    seconds: float
    peak: int  # bytes of memory


def ratio(
    name: str,
    against: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str,
) -> Figure:
    """Return the median of the pairwise ratios ours/theirs. Pass one target."""
    pairs = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    middle = median(pairs)
    reached = middle >= at_least if at_least is not None else middle <= (at_most or 0.0)
    bar = f">= {at_least:g} x" if at_least is not None else f"<= {at_most:g} x"
    spread = ", ".join(f"{m:.4g}/{o:.4g}" for m, o in zip(ours, theirs, strict=True))
    return Figure(name, against, f"{middle:.3f} x", bar, reached, f"{spread} {unit}")


def bound(name: str, against: str, values: Sequence[float], *, at_most: float, unit: str) -> Figure:
    """Compare the median of plain values with an upper bound."""
    middle = median(values)
    spread = ", ".join(f"{value:.4g}" for value in values)
    return Figure(
        name,
        against,
        f"{middle:.4g} {unit}",
        f"<= {at_most:g} {unit}",
        middle <= at_most,
        f"{spread} {unit}",
    )


def at_least(name: str, against: str, values: Sequence[float], *, bar: float, unit: str) -> Figure:
    """Compare the median of plain values with a lower bound."""
    middle = median(values)
    spread = ", ".join(f"{value:,.0f}" for value in values)
    reached = middle >= bar
    return Figure(name, against, f"{middle:,.0f} {unit}", f">= {bar:,.0f} {unit}", reached, spread)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
