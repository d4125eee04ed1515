"""The work of each minute for 5,000 pipelines: processor time of the database and of the process, and statements."""

from __future__ import annotations

from collections.abc import Iterator

from bench.alerts.running import run_program
from bench.figures import Figure, figure_with_upper_bound, figure_without_target
from bench.scratch import Installation


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    """No alert opens or closes, as in most minutes."""
    measured = run_program(installation, "minute", str(rounds), installation.owner_url())
    compared = "5,000 pipelines with 20 runs each, 50 organizations with eight rules each"
    pipelines, statements = measured["pipelines"], measured["statements"]
    yield figure_with_upper_bound(
        "late and missing data of each minute, processor time",
        compared,
        pipelines,
        at_most=1.0,
        unit="s",
    )
    yield figure_with_upper_bound(
        "late and missing data of each minute", compared, statements, at_most=1, unit="statements"
    )
    yield figure_without_target(
        "limits, keys, connectors and workers of each minute, processor time",
        compared,
        measured["subjects"],
        unit="s",
    )
