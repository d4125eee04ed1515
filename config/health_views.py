"""For load balancers and monitors: alive, ready, and a few gauges."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

import structlog
from django.conf import settings
from django.db import connections
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from config import health
from config.api import PublicView
from config.schema import operation

logger = structlog.get_logger(__name__)

REASONED = frozenset({"database", "storage"})  # parts whose findings hold another program's words


class Alive(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["alive"])


class Part(serializers.Serializer[Any]):
    part = serializers.CharField()
    ok = serializers.BooleanField()
    seen = serializers.CharField()


class Readiness(serializers.Serializer[Any]):
    ready = serializers.BooleanField()
    parts = Part(many=True)


class Live(PublicView):
    """Described here; config.asgi answers before a thread is needed."""

    public_because = "Says only that the process answers; a load balancer has no account."

    @operation(
        "health_live",
        tag="health",
        summary="Whether this process answers",
        answer=Alive,
        example={"status": "alive"},
        public=True,
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "alive"})


class Ready(PublicView):
    public_because = (
        "A load balancer has no account; it says which part is away, nothing about data."
    )

    @operation(
        "health_ready",
        tag="health",
        summary="Whether everything this process needs is there",
        answer=Readiness,
        unready=True,
        example={"ready": True, "parts": [{"part": "database", "ok": True, "seen": "18.1"}]},
        public=True,
    )
    def get(self, request: Request) -> Response:
        found = health.ready()
        parts = [{"part": one.part, "ok": one.ok, "seen": _for_anyone(one)} for one in found]
        well = all(one.ok for one in found)
        return Response({"ready": well, "parts": parts}, status=200 if well else 503)


def _for_anyone(found: health.Finding) -> str:
    """Errors name hosts, users and folders: whoever may read the log finds them there."""
    if found.ok or found.part not in REASONED:
        return found.seen
    logger.warning("not ready", part=found.part, seen=found.seen)
    return "not well; the log says why, or `manage.py doctor`"


class Metrics(PublicView):
    public_because = "Guarded by the operators' own token, DROVER_METRICS_TOKEN."

    @operation(
        "metrics",
        tag="health",
        summary="Gauges for Prometheus; send DROVER_METRICS_TOKEN as a bearer token",
        answer=str,
        media_type="text/plain",
        errors=(401,),
        example='# TYPE drover_runs gauge\ndrover_runs{status="running"} 3\n',
        public=True,
    )
    def get(self, request: Request) -> HttpResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
        token = settings.METRICS_TOKEN.encode()
        if not token or not hmac.compare_digest(given, token):
            raise NotAuthenticated("Send DROVER_METRICS_TOKEN as a bearer token.")
        lines = "".join(f"{line}\n" for line in _lines())
        return HttpResponse(lines, content_type="text/plain; version=0.0.4; charset=utf-8")


def _lines() -> Iterator[str]:
    queue = health.queue()
    yield from _gauge("drover_queue_waiting", "Jobs that wait for a worker.", queue.waiting)
    yield from _gauge(
        "drover_queue_oldest_seconds", "Age of the oldest short job.", queue.oldest_short
    )
    yield from _gauge("drover_workers", "Workers whose heart beats.", queue.workers)
    if queue.tick_age is not None:
        yield from _gauge(
            "drover_scheduler_tick_age_seconds", "Since the last tick.", queue.tick_age
        )
    try:
        yield from _counted()
    finally:
        connections["ops"].close()


def _counted() -> Iterator[str]:
    """Over all orgs, so by the operators' role."""
    with connections["ops"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orgs_org")
        yield from _gauge("drover_organizations", "Organizations.", cursor.fetchone()[0])
        cursor.execute("SELECT count(*) FROM pipelines_pipeline WHERE enabled")
        yield from _gauge(
            "drover_pipelines_enabled", "Pipelines switched on.", cursor.fetchone()[0]
        )
        cursor.execute(
            """SELECT s.status, count(r.id) FROM (VALUES ('pending'), ('running')) s (status)
               LEFT JOIN runs_run r ON r.status = s.status GROUP BY 1 ORDER BY 1"""
        )
        yield "# HELP drover_runs Runs that have not ended."
        yield "# TYPE drover_runs gauge"
        for status, count in cursor.fetchall():
            yield f'drover_runs{{status="{status}"}} {count}'


def _gauge(name: str, meaning: str, value: float) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} gauge"
    yield f"{name} {value:g}"
