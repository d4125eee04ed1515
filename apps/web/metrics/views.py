"""`GET /metrics` in the text format of Prometheus. deploy/grafana/dashboard.json shows each of these metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.http import HttpResponse
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from apps.web.health_views import is_operator
from apps.web.metrics import installation, process
from apps.web.metrics.installation import Sample
from apps.web.schema import operation
from apps.web.views import PublicView

# Before a first worker has started, there are no such times.
OPTIONAL = {"drover_worker_heartbeat_age_seconds", "drover_scheduler_tick_age_seconds"}


class Metrics(PublicView):
    public_because = "Protected by the operators' token, DROVER_METRICS_TOKEN."

    @operation(
        "metrics",
        tag="health",
        summary="Get metrics for Prometheus; send DROVER_METRICS_TOKEN as a bearer token",
        answer=str,
        media_type="text/plain",
        errors=(401,),
        example='# TYPE drover_runs gauge\ndrover_runs{status="running"} 3\n',
        public=True,
    )
    def get(self, request: Request) -> HttpResponse:
        if not is_operator(request):
            raise NotAuthenticated("Send DROVER_METRICS_TOKEN as a bearer token.")
        lines = [*_process_lines(), *_installation_lines()]
        content = "".join(f"{line}\n" for line in lines)
        return HttpResponse(content, content_type="text/plain; version=0.0.4; charset=utf-8")


def _process_lines() -> Iterator[str]:
    version: list[Sample] = [({"version": settings.VERSION}, 1.0)]
    yield from _gauges("drover_info", "The version of this web process.", version)
    open_streams: list[Sample] = [({}, process.open_streams())]
    yield from _gauges(
        "drover_event_streams", "Open event streams of this web process.", open_streams
    )
    yield f"# HELP {process.DURATIONS} Durations of the requests of this web process, by status."
    yield f"# TYPE {process.DURATIONS} histogram"
    yield from process.durations.lines(process.DURATIONS)


def _installation_lines() -> Iterator[str]:
    for name, samples in installation.read().items():
        if samples or name not in OPTIONAL:
            yield from _gauges(name, installation.MEANINGS[name], samples)


def _gauges(name: str, meaning: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        text = ",".join(f'{key}="{label}"' for key, label in labels.items())
        yield f"{name}{{{text}}} {value:.15g}" if labels else f"{name} {value:.15g}"
