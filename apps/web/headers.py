"""Set security headers on every response. Event streams use the same content security policy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

# The pages that are open compare it with that of the response before, to tell the user of a new release.
RELEASE_HEADER = "X-Drover-Release"
RELEASE_DIGITS = 12


@cache
def _release() -> str:
    """Return a digest of the dashboard's page, which names the files of its release. It is empty without a dashboard."""
    index = settings.FRONTEND_DIST / "index.html"
    return hashlib.sha256(index.read_bytes()).hexdigest()[:RELEASE_DIGITS] if index.exists() else ""


class SecurityHeaders:
    """Adds the headers that Django's own middleware cannot add."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if isinstance(response, HttpResponse) and "Content-Length" not in response:
            # Without this header the response would be chunked.
            response.headers["Content-Length"] = str(len(response.content))
        if request.path.startswith("/api/"):
            response.headers[RELEASE_HEADER] = _release()
            response.headers.setdefault("Cache-Control", "no-store")
        return response
