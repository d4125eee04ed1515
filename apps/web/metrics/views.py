"""`GET /metrics` in the text format of Prometheus. deploy/grafana/dashboard.json shows each of these metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings
from django.http import HttpResponse
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from apps.background import counts, health
from apps.web.health_views import is_operator
from apps.web.metrics import process
from apps.web.schema import operation
from apps.web.views import PublicView

Sample = tuple[dict[str, str], float]  # labels, value


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
        lines = [*_process_lines(), *_queue_lines(), *_run_lines()]
        content = "".join(f"{line}\n" for line in lines)
        return HttpResponse(content, content_type="text/plain; version=0.0.4; charset=utf-8")


def _process_lines() -> Iterator[str]:
    version = [({"version": settings.VERSION}, 1.0)]
    yield from _gauges("drover_info", "The version of this web process.", version)
    yield from _gauge(
        "drover_event_streams", "Open event streams of this web process.", process.open_streams()
    )
    yield f"# HELP {process.DURATIONS} Durations of the requests of this web process, by status."
    yield f"# TYPE {process.DURATIONS} histogram"
    yield from process.durations.lines(process.DURATIONS)


def _queue_lines() -> Iterator[str]:
    queue = health.read_queue_state()
    yield from _gauge("drover_queue_waiting", "Jobs that are waiting for a worker.", queue.waiting)
    yield from _gauge(
        "drover_queue_oldest_seconds",
        "Age of the oldest waiting job of the queue system, which has ticks, recovery and sweeps.",
        queue.oldest_short_job_age,
    )
    if queue.heartbeat_age is not None:
        yield from _gauge(
            "drover_worker_heartbeat_age_seconds",
            "Time since the last heartbeat of a worker.",
            queue.heartbeat_age,
        )
    if queue.tick_age is not None:
        yield from _gauge(
            "drover_scheduler_tick_age_seconds",
            "Time since the scheduler's last tick.",
            queue.tick_age,
        )


def _run_lines() -> Iterator[str]:
    found = counts.count_over_orgs()
    yield from _gauge("drover_organizations", "Organizations.", found.orgs)
    yield from _gauge("drover_pipelines_enabled", "Enabled pipelines.", found.enabled_pipelines)
    yield from _gauge(
        "drover_schedule_lag_seconds",
        "Age of the oldest scheduled time whose run was not started, also if its pipeline still has a run.",
        found.schedule_lag,
    )
    live = [({"status": status}, count) for status, count in sorted(found.live.items())]
    yield from _gauges("drover_runs", "Runs that have not ended.", live)
    waiting = [({"reason": reason}, count) for reason, count in found.waiting.items()]
    yield from _gauges("drover_runs_waiting", "Runs that wait, by what they wait for.", waiting)
    ended = [
        ({"status": status, "failure_class": failure_class}, count)
        for (status, failure_class), count in found.ended.items()
    ]
    yield from _gauges(
        "drover_runs_ended_last_hour", "Runs that ended in the last hour, by failure class.", ended
    )
    yield from _gauge(
        "drover_attempts_last_hour", "Attempts of the runs that ended.", found.attempts
    )
    yield from _gauge(
        "drover_attempts_crashed_last_hour",
        "Those of them whose process or worker died.",
        found.crashed_attempts,
    )


def _gauge(name: str, meaning: str, value: float) -> Iterator[str]:
    return _gauges(name, meaning, [({}, value)])


def _gauges(name: str, meaning: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        text = ",".join(f'{key}="{label}"' for key, label in labels.items())
        yield f"{name}{{{text}}} {value:.15g}" if labels else f"{name} {value:.15g}"
