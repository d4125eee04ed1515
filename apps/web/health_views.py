"""Endpoints for load balancers and monitoring: liveness and readiness."""

from __future__ import annotations

import hmac
import time
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.background import health
from apps.background.database_errors import first_line
from apps.web.schema import operation
from apps.web.views import PublicView

logger = structlog.get_logger(__name__)

LOG_INTERVAL = 60.0  # seconds
_last_logged: dict[str, float] = {}  # the time when each failing part was last logged


class Alive(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["alive"])


class Part(serializers.Serializer[Any]):
    part = serializers.CharField()
    ok = serializers.BooleanField()
    seen = serializers.CharField()


class Readiness(serializers.Serializer[Any]):
    ready = serializers.BooleanField()
    version = serializers.CharField(
        required=False, help_text="Only with DROVER_METRICS_TOKEN as a bearer token."
    )
    parts = Part(
        many=True, required=False, help_text="Only with DROVER_METRICS_TOKEN as a bearer token."
    )


class Live(PublicView):
    """Documents the route. In operation, config.asgi responds to it without using a thread."""

    public_because = "Shows only that the process responds; a load balancer has no account."

    @operation(
        "health_live",
        tag="health",
        summary="Check whether this process is alive",
        answer=Alive,
        example={"status": "alive"},
        public=True,
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "alive"})


class Ready(PublicView):
    public_because = "A load balancer has no account; without the operators' token the response is only yes or no."

    @operation(
        "health_ready",
        tag="health",
        summary="Check whether this process is ready; with DROVER_METRICS_TOKEN, show what is missing",
        answer=Readiness,
        success_body_for_503=True,
        example={
            "ready": True,
            "version": "1.4.0",
            "parts": [{"part": "database", "ok": True, "seen": "18.1"}],
        },
        public=True,
    )
    def get(self, request: Request) -> Response:
        findings = _run_checks()
        is_ready = all(finding.ok for finding in findings)
        answer: dict[str, Any] = {"ready": is_ready}
        if is_operator(request):
            answer["version"] = settings.VERSION
            answer["parts"] = [
                {"part": finding.part, "ok": finding.ok, "seen": finding.seen}
                for finding in findings
            ]
        return Response(answer, status=200 if is_ready else 503)


def _run_checks() -> list[health.Finding]:
    """Run the checks, and log failures."""
    try:
        findings = health.check_readiness()
    except DatabaseError as error:  # The connection was lost during the checks.
        findings = [health.Finding("database", False, first_line(error))]
    for finding in findings:
        if not finding.ok:
            _log_failure(finding)
    return findings


def _log_failure(finding: health.Finding) -> None:
    """Log a failure at most once a minute, because anybody may call this endpoint."""
    now = time.monotonic()
    if now - _last_logged.get(finding.part, -LOG_INTERVAL) >= LOG_INTERVAL:
        _last_logged[finding.part] = now
        logger.warning("not ready", part=finding.part, seen=finding.seen)


def is_operator(request: Request) -> bool:
    """Whether the request has the operators' token."""
    sent_token = request.headers.get("Authorization", "").removeprefix("Bearer ").encode()
    token = settings.METRICS_TOKEN.encode()
    return bool(token) and hmac.compare_digest(sent_token, token)
