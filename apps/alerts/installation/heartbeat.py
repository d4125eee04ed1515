"""Request an address each minute, so that a service outside of the installation notices if nobody works any more."""

from __future__ import annotations

import requests
import structlog
from django.conf import settings

from apps.egress.exceptions import EgressError
from apps.egress.http import PolicySession, total_time_limit

logger = structlog.get_logger(__name__)

TIMEOUTS = (5.0, 10.0)  # seconds to connect, and to wait for the answer
TOTAL_SECONDS = 20.0  # with all redirects; it is requested each minute


def beat() -> bool:
    """Request DROVER_HEARTBEAT_URL. Returns whether it was accepted; without this setting nothing is sent."""
    url = settings.HEARTBEAT_URL
    if not url:
        return False
    try:
        with (
            total_time_limit(TOTAL_SECONDS),
            PolicySession(allow_private=True, timeout=TIMEOUTS) as session,
            session.get(url, headers={"User-Agent": "Drover"}, stream=True) as response,
        ):
            accepted = 200 <= response.status_code < 300
            problem = f"the answer is {response.status_code}"
    # The texts of these exceptions contain the address, which may be a secret.
    except (EgressError, requests.RequestException) as error:
        accepted, problem = False, type(error).__name__
    if not accepted:
        logger.warning("heartbeat not accepted", problem=problem)
    return accepted
