"""The figures of alerts: the delay of a message, a burst of failures, the work of each minute, and false alarms."""

from __future__ import annotations

from collections.abc import Iterator

from bench.alerts import burst, delay, false_alarms, minute
from bench.figures import Figure
from bench.scratch import Installation


def measure(installation: Installation, rounds: int) -> Iterator[Figure]:
    yield from minute.measure(installation, rounds)
    yield from delay.measure(installation, rounds)
    yield from burst.measure(installation)
    yield from false_alarms.measure(installation)
