"""Give every request an id. The response has it as `X-Request-ID`, and so has each log line about the request."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
ID_BYTES = 8
# A proxy may send its own id, so that its log and ours can be compared. Other texts could forge log lines.
ACCEPTED_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


class RequestIds:
    """Keeps a valid id of a proxy, or makes a new one."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sent = request.headers.get(HEADER, "")
        request_id = sent if ACCEPTED_ID.fullmatch(sent) else secrets.token_hex(ID_BYTES)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response.headers[HEADER] = request_id
        return response
