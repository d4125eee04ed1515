"""The durations of requests, as the semantic conventions of OpenTelemetry name them."""

from __future__ import annotations

from typing import Any

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class RequestDurations:
    """A histogram that counts only while it is started."""

    def __init__(self) -> None:
        self._histogram: Any = None

    def start(self, meter: Any) -> None:
        self._histogram = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Durations of requests.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )

    def stop(self) -> None:
        self._histogram = None

    def add(self, seconds: float, *, method: str, route: str, status: int) -> None:
        if self._histogram is not None:
            labels = {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
            self._histogram.record(seconds, labels)


request_durations = RequestDurations()
