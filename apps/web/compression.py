"""Compress the JSON of lists and errors for clients that accept gzip."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressJson(GZipMiddleware):
    """Compresses JSON that has no ETag. Django adds a random number of bytes, so that sizes do not reveal a secret.

    A compressed response has a weak ETag, and If-Match does not accept one. Responses with an ETag are single objects, which are
    small. Files and streams are sent as they are.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        is_json = "json" in response.get("Content-Type", "")
        if response.streaming or not is_json or response.has_header("ETag"):
            return response
        return super().process_response(request, response)
