"""Send traces and metrics to the collector of DROVER_OTLP_URL, from web and worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from django.conf import settings

from apps.background.registry import StopCallback
from apps.telemetry.exporting import telemetry
from apps.web.metrics import installation


def telemetry_of_web() -> AbstractContextManager[None]:
    return telemetry(settings.OTLP_URL, process="web", version=settings.VERSION)


@contextmanager
def send_telemetry_of_worker() -> Iterator[StopCallback]:
    """Each worker process sends the metrics of the installation too, so they arrive also while no page is open."""
    with telemetry(
        settings.OTLP_URL,
        process="worker",
        version=settings.VERSION,
        gauges=installation.MEANINGS,
        read=installation.read_alone,
    ):
        yield lambda: None
