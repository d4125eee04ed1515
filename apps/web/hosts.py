"""Refuse requests for other host names than `ALLOWED_HOSTS`, on every path and before anything else is done.

Django checks the Host header only if code calls `get_host`, so other pages would accept any name. Here each request is
checked once: by `config.asgi` for requests that Django does not see (streams, `/health/live`), and by the first
middleware for all others, static files included.
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
FROM_INSIDE = re.compile(r"/api/v1/(?:health/(?:live|ready)|metrics)")
UNKNOWN = (
    "This installation does not accept the host name of the request. Its operator can set"
    " DROVER_PUBLIC_URL to its URL, and DROVER_ALLOWED_HOSTS to further names."
)


def is_ours(host: str | None, *, path: str, server: str) -> bool:
    """Whether a request with this Host header is accepted.

    Without one (HTTP/1.0) the address `server` counts, on which the connection arrived. Probes may use that
    address or loopback.
    """
    name = _name(host if host is not None else server)
    if name is None:
        return False
    if validate_host(name, settings.ALLOWED_HOSTS):
        return True
    return bool(FROM_INSIDE.fullmatch(path)) and name in (*LOOPBACK, _name(server))


def refusal() -> bytes:
    """Return the response for a foreign host: the problem and who can fix it, but not the accepted names."""
    return dumps(Problem(400, UNKNOWN, "malformed").response().data)


class KnownHost:
    """Refuses requests for other hosts."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        host, server = request.META.get("HTTP_HOST"), str(request.META.get("SERVER_NAME", ""))
        if is_ours(host, path=request.path, server=server):
            return self.get_response(request)
        answer = HttpResponse(refusal(), status=400, content_type="application/problem+json")
        answer["X-Content-Type-Options"] = "nosniff"
        return answer


def _name(host: str) -> str | None:
    """Return the name in a Host header, lower case and without port; None if it is not valid."""
    if ":" in host and host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # an IPv6 address as the server reports its own
    if not host_validation_re.fullmatch(host.lower()):
        return None
    name, _ = split_domain_port(host)
    return name or None
