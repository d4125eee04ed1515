"""The checks of `manage.py doctor` about what operators are told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from apps.alerts.installation import messages, routes
from apps.alerts.models import OperatorRoute
from apps.background.health import Finding

NOBODY_STEP = (
    "Create an operator with `manage.py create_operator`, or set DROVER_OPERATOR_ADDRESSES or "
    "DROVER_OPERATOR_WEBHOOK_URL."
)
CONNECT_SECONDS = 5.0


def check_operators() -> Finding:
    """Somebody is told about problems of the installation. A local installation may have nobody."""
    told = list(routes.addresses())
    if settings.OPERATOR_WEBHOOK_URL:
        told.append(f"a webhook at {urlsplit(settings.OPERATOR_WEBHOOK_URL).hostname}")
    seen = f"told about problems: {', '.join(told)}" if told else "nobody is told about problems"
    is_sufficient = bool(told) or not settings.BEHIND_TLS
    return Finding("operators", is_sufficient, seen, "" if is_sufficient else NOBODY_STEP)


def check_heartbeat() -> Finding:
    """The address of the heartbeat can be reached. It is not requested, because that would be a heartbeat."""
    if not settings.HEARTBEAT_URL:
        return Finding("heartbeat", True, "DROVER_HEARTBEAT_URL is not set")
    parts = urlsplit(settings.HEARTBEAT_URL)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    step = "Correct DROVER_HEARTBEAT_URL, or let workers connect to it."
    try:
        closing(socket.create_connection((host, port), CONNECT_SECONDS)).__enter__().close()
    except OSError as error:
        return Finding("heartbeat", False, f"{host}:{port}: {error}", step)
    return Finding("heartbeat", True, f"{host}:{port} can be reached")


def send_test() -> Iterator[Finding]:
    """Send a test to each route. The finding says what the other side has answered."""
    active = routes.active()
    if not active:
        yield Finding("test", False, "nobody is told about problems", NOBODY_STEP)
    for route in active:
        answer = routes.send(messages.test_message(timezone.now()), route)
        part = f"test ({OperatorRoute(route).label.lower()})"
        seen = answer.problem or answer.text or f"answered {answer.status}"
        yield Finding(part, answer.accepted, seen, "Correct the setting of this route.")
