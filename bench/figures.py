"""The results of measurements, as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table: what was measured, the alternative, the median and its target."""

    name: str
    compared_with: str
    value: str
    target: str
    reached: bool
    all_values: str  # the measured values, which show the spread


@dataclass(frozen=True, slots=True)
class Execution:
    """The time and the memory of one measured execution."""

    seconds: float
    peak_memory: int  # bytes of memory


def figure_of_ratio(
    name: str,
    compared_with: str,
    our_values: Sequence[float],
    their_values: Sequence[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    unit: str,
) -> Figure:
    """Return the median of the ratios of our values to their values, pair by pair. Pass `at_least` or `at_most`."""
    ratios = [
        our_value / their_value
        for our_value, their_value in zip(our_values, their_values, strict=True)
    ]
    median_ratio = median(ratios)
    reached = median_ratio >= at_least if at_least is not None else median_ratio <= (at_most or 0.0)
    target = f">= {at_least:g} x" if at_least is not None else f"<= {at_most:g} x"
    spread = ", ".join(
        f"{our_value:.4g}/{their_value:.4g}"
        for our_value, their_value in zip(our_values, their_values, strict=True)
    )
    return Figure(name, compared_with, f"{median_ratio:.3f} x", target, reached, f"{spread} {unit}")


def figure_with_upper_bound(
    name: str, compared_with: str, values: Sequence[float], *, at_most: float, unit: str
) -> Figure:
    """Compare the median of the values with an upper bound."""
    median_value = median(values)
    spread = ", ".join(f"{value:.4g}" for value in values)
    return Figure(
        name,
        compared_with,
        f"{median_value:.4g} {unit}",
        f"<= {at_most:g} {unit}",
        median_value <= at_most,
        f"{spread} {unit}",
    )


def figure_without_target(
    name: str, compared_with: str, values: Sequence[float], *, unit: str
) -> Figure:
    """Return the median of the values, which explains another figure."""
    spread = ", ".join(f"{value:.4g}" for value in values)
    return Figure(
        name, compared_with, f"{median(values):.4g} {unit}", "none", True, f"{spread} {unit}"
    )


def figure_with_lower_bound(
    name: str, compared_with: str, values: Sequence[float], *, at_least: float, unit: str
) -> Figure:
    """Compare the median of the values with a lower bound."""
    median_value = median(values)
    spread = ", ".join(f"{value:,.0f}" for value in values)
    reached = median_value >= at_least
    return Figure(
        name,
        compared_with,
        f"{median_value:,.0f} {unit}",
        f">= {at_least:,.0f} {unit}",
        reached,
        spread,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
