"""Which host names this installation answers to: `ALLOWED_HOSTS`, on every path and before anything else is done.

Django looks at the Host header only where code asks for it, so a page that never asks answers to any name. Here each
request is looked at once: by `config.asgi` for what Django does not see (streams, `/health/live`), and as the first
middleware for everything else, static files included.
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
# What probes and monitors ask from inside, by the address they connect to, with nothing in it that depends on a name.
FROM_INSIDE = re.compile(r"/api/v1/(?:health/(?:live|ready)|metrics)")
UNKNOWN = (
    "This installation does not answer to the host name of the request. Whoever runs it sets"
    " DROVER_PUBLIC_URL to its address, and DROVER_ALLOWED_HOSTS to further names."
)


def is_ours(host: str | None, *, path: str, server: str) -> bool:
    """Whether a request with this Host header is answered. Without one (HTTP/1.0) it is for the address `server`
    that the connection came in at; that address and loopback are enough for what is asked from inside."""
    name = _name(host if host is not None else server)
    if name is None:
        return False
    if validate_host(name, settings.ALLOWED_HOSTS):
        return True
    return bool(FROM_INSIDE.fullmatch(path)) and name in (*LOOPBACK, _name(server))


def refusal() -> bytes:
    """What a stranger's host is told: what is wrong and who can change it, not which names would be right."""
    return dumps(Problem(400, UNKNOWN, "malformed").response().data)


class KnownHost:
    """Refuses what is not for this installation."""

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
    """The name in a Host header, without its port and in lower case; None for what is none."""
    if ":" in host and host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # an IPv6 address as a server knows its own
    if not host_validation_re.fullmatch(host.lower()):
        return None
    name, _ = split_domain_port(host)
    return name or None
