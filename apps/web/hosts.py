"""Reject requests whose host name is not in `ALLOWED_HOSTS`, on every path and before any other code runs.

Django checks the Host header only if code calls `get_host`, so other pages would accept any name. Here each request is
checked once. `config.asgi` checks requests that Django does not receive (streams, `/health/live`). The first middleware
checks all other requests, including those for static files.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import host_validation_re, split_domain_port, validate_host

from apps.web.problems import Problem
from apps.web.wire import dumps

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# Paths that probes and monitors request by IP address; their responses do not depend on a host name.
PROBE_PATHS = re.compile(r"/api/v1/(?:health/(?:live|ready)|metrics)")
UNKNOWN_HOST = (
    "This installation does not accept the host name of the request. Its operator can set"
    " DROVER_PUBLIC_URL to its URL, and DROVER_ALLOWED_HOSTS to further names."
)


def is_accepted(host: str | None, *, path: str, server: str) -> bool:
    """Whether a request with this Host header is accepted.

    `server` is the address at which the server received the request. It replaces a missing Host header (HTTP/1.0).
    Probes may use this address or loopback as the host.
    """
    name = _host_name(host if host is not None else server)
    if name is None:
        return False
    if validate_host(name, settings.ALLOWED_HOSTS):
        return True
    return bool(PROBE_PATHS.fullmatch(path)) and name in (*LOOPBACK, _host_name(server))


def rejection_body() -> bytes:
    """Return the response body for an unknown host. It does not reveal the accepted names."""
    return dumps(Problem(400, UNKNOWN_HOST, "malformed").response().data)


class RejectUnknownHosts:
    """Middleware that rejects requests for unknown hosts."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        host, server = request.META.get("HTTP_HOST"), str(request.META.get("SERVER_NAME", ""))
        if is_accepted(host, path=request.path, server=server):
            return self.get_response(request)
        answer = HttpResponse(rejection_body(), status=400, content_type="application/problem+json")
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


def _host_name(host: str) -> str | None:
    """Return the name in a Host header in lower case and without port. None if the header is not valid."""
    if ":" in host and host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # The server reports its own IPv6 address without brackets.
    if not host_validation_re.fullmatch(host.lower()):
        return None
    name, _ = split_domain_port(host)
    return name or None
