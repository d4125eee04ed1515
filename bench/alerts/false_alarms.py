"""The figures of the simulation in tests/alerts/test_false_alarms.py."""

from __future__ import annotations

from collections.abc import Iterator

from bench.alerts.running import run_program
from bench.figures import Figure, figure_with_lower_bound, figure_with_upper_bound
from bench.scratch import Installation


def measure(installation: Installation) -> Iterator[Figure]:
    simulated = "200 pipelines, 30 days after 56"
    measured = run_program(installation, "false-alarms")
    yield figure_with_upper_bound(
        "false alarms of a pipeline, four seeds",
        simulated,
        measured["alarms"],
        at_most=0.1,
        unit="alarms",
    )
    yield figure_with_lower_bound(
        "faults found within two periods, the worst of five kinds",
        simulated,
        [min(measured["found"])],
        at_least=95,
        unit="%",
    )
