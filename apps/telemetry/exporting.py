"""Start and stop the senders of traces and metrics in this process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from apps.telemetry import tracing
from apps.telemetry.durations import request_durations

TIMEOUT_SECONDS = 5.0  # for one request to the collector
EVERY_SECONDS = 60.0  # between two exports of metrics
Samples = Iterable[tuple[Mapping[str, str], float]]  # labels, value


@contextmanager
def telemetry(
    url: str,
    *,
    process: str,
    version: str,
    gauges: Mapping[str, str] | None = None,
    read: Callable[[], Mapping[str, Samples]] | None = None,
) -> Iterator[None]:
    """Send traces and metrics while the block runs, if `url` is the address of a collector.

    `gauges` are the names and meanings of the values that `read` returns each minute. What cannot be sent is
    dropped and logged: it never delays the work that it is about.
    """
    if not url:
        yield
        return
    from opentelemetry.sdk.resources import Resource

    resource = Resource.create(
        {
            "service.name": "drover",
            "service.namespace": process,
            "service.version": version,
            "service.instance.id": str(uuid4()),
            "host.name": socket.gethostname(),
        }
    )
    base = url.rstrip("/")
    traces = tracing.start(f"{base}/v1/traces", resource, TIMEOUT_SECONDS)
    meters = _meter_provider(f"{base}/v1/metrics", resource)
    meter = meters.get_meter("drover", version)
    request_durations.start(meter)
    if gauges and read:
        _observe(meter, gauges, read)
    try:
        yield
    finally:
        request_durations.stop()
        tracing.stop()
        traces.shutdown()
        meters.shutdown(timeout_millis=TIMEOUT_SECONDS * 1000)


def accepts_traces(url: str) -> bool:
    """Send no spans to the collector at `url`. Returns whether it has accepted them."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExportResult

    endpoint = f"{url.rstrip('/')}/v1/traces"
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_SECONDS)
    return exporter.export([]) is SpanExportResult.SUCCESS


def _meter_provider(url: str, resource: Any) -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(endpoint=url, timeout=TIMEOUT_SECONDS)
    reader = PeriodicExportingMetricReader(exporter, EVERY_SECONDS * 1000, TIMEOUT_SECONDS * 1000)
    return MeterProvider([reader], resource=resource, shutdown_on_exit=False)


def _observe(
    meter: Any, gauges: Mapping[str, str], read: Callable[[], Mapping[str, Samples]]
) -> None:
    """Create the gauges. The first of them reads the values of all, because they come from the same queries."""
    from opentelemetry.metrics import Observation

    names = list(gauges)
    values: dict[str, Samples] = {}

    def observe(name: str) -> Iterator[Observation]:
        if name == names[0]:
            values.clear()
            values.update(read())
        for labels, value in values.get(name, ()):
            yield Observation(value, dict(labels))

    for name in names:
        meter.create_observable_gauge(
            name, callbacks=[lambda _options, name=name: observe(name)], description=gauges[name]
        )
