"""The routes of uploads for Channels."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from apps.web.uploads import Application, Receive, Scope, Send

# The methods that have the content of a file as their body, by the path without its first slash.
METHODS_BY_PATTERN = {r"^api/v1/files$": "POST", r"^api/v1/files/[0-9a-f-]{36}$": "PUT"}


def upload_routes(uploads: Application, *, other_methods: Application) -> list[Any]:
    """Return the routes of uploads. Requests with another method go to `other_methods`."""
    return [
        _route(pattern, method, uploads, other_methods)
        for pattern, method in METHODS_BY_PATTERN.items()
    ]


def _route(pattern: str, method: str, uploads: Application, other_methods: Application) -> Any:
    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        application = uploads if scope["method"] == method else other_methods
        await application(scope, receive, send)

    view: Any = choose
    return re_path(pattern, view)
