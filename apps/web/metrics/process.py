"""The metrics of this web process: open event streams, and the durations of requests, which are also traced."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from threading import Lock

from django.http import HttpRequest, HttpResponseBase

from apps.telemetry import tracing
from apps.telemetry.durations import BUCKETS, request_durations

DURATIONS = "drover_request_duration_seconds"

_open_streams = 0


def change_open_streams(by: int) -> None:
    """Count opened and closed event streams. Only the event loop calls this."""
    global _open_streams
    _open_streams += by


def open_streams() -> int:
    return _open_streams


class Histogram:
    """Counts durations by the class of the response's status, such as 2xx. Safe in several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def add(self, status_class: str, seconds: float) -> None:
        with self._lock:
            counts = self._counts.setdefault(status_class, [0] * (len(BUCKETS) + 1))
            counts[bisect_left(BUCKETS, seconds)] += 1
            self._sums[status_class] = self._sums.get(status_class, 0.0) + seconds

    def lines(self, name: str) -> Iterator[str]:
        """Yield the samples in the text format of Prometheus, in which each bucket includes the smaller ones."""
        with self._lock:
            counts = {status: list(values) for status, values in sorted(self._counts.items())}
            sums = dict(self._sums)
        for status, values in counts.items():
            total = 0
            for limit, count in zip((*BUCKETS, "+Inf"), values, strict=True):
                total += count
                yield f'{name}_bucket{{status="{status}",le="{limit}"}} {total}'
            yield f'{name}_sum{{status="{status}"}} {sums[status]:.15g}'
            yield f'{name}_count{{status="{status}"}} {total}'


durations = Histogram()


class RequestDurations:
    """Measures each request, without the time until its body has arrived and a thread is free."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        method = str(request.method)
        with tracing.span(method, is_request=True, http__request__method=method) as span:
            response = self.get_response(request)
            status = response.status_code
            # The route instead of the path: it has no ids, and no secrets of mailed links.
            route = f"/{request.resolver_match.route}" if request.resolver_match else ""
            span.rename(f"{method} {route}".rstrip())
            span.describe(
                http__route=route,
                http__response__status_code=status,
                drover__request_id=response.headers.get("X-Request-ID", ""),
            )
            if status >= 500:
                span.fail(str(status))
        seconds = time.perf_counter() - started
        durations.add(f"{status // 100}xx", seconds)
        request_durations.add(seconds, method=method, route=route, status=status)
        return response
