"""Refuse requests from pages of other sites: to views that use or set the refresh cookie, and for websockets."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest

from apps.web.problems import Problem

HEADER = "X-Requested-With"
HEADER_VALUE = "drover"
DEFAULT_PORTS = {"http": 80, "https": 443}


def refuse_cross_site(request: HttpRequest, *, cookie_only: bool) -> None:
    """Raise Problem 403 for a request from a page of another site.

    `cookie_only` means that the cookie is the only credential. Then a header is required that a plain HTML form cannot
    send.
    """
    if cookie_only and request.headers.get(HEADER) != HEADER_VALUE:
        raise Problem(403, f"Send the header {HEADER}: {HEADER_VALUE}.", "cross_site")
    origin = request.headers.get("Origin")
    if origin is not None and origin not in _own_origins(request):
        raise Problem(403, "This request came from another site.", "cross_site")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise Problem(403, "This request came from another site.", "cross_site")


def is_public_origin(origin: str) -> bool:
    """Whether this Origin header has the scheme, host and port of the installation's URL."""
    try:
        return _scheme_host_port(origin) == _scheme_host_port(settings.PUBLIC_URL)
    except ValueError:
        return False


def _scheme_host_port(url: str) -> tuple[str, str | None, int | None]:
    """Raises ValueError if the URL is invalid."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or DEFAULT_PORTS.get(parts.scheme)


def _own_origins(request: HttpRequest) -> set[str]:
    public = urlsplit(settings.PUBLIC_URL)
    return {f"{public.scheme}://{public.netloc}", f"{request.scheme}://{request.get_host()}"}
