"""The base class of views that receive a body of any size."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.web import uploads
from apps.web.slow import SlowResponse


class UploadView(OrgView):
    """A view whose handler returns a `SlowResponse` with a `BodyTransfer` as its work (apps.web.uploads)."""

    def make_response(self, request: HttpRequest, drf_request: Request) -> Response:
        exchange = uploads.exchange_of(request)
        if exchange is None or exchange.suspended is None:
            return super().make_response(request, drf_request)
        return exchange.resume(exchange.suspended)

    def finish(
        self,
        answer: Response | SlowResponse,
        scope: Callable[[], AbstractContextManager[None]],
    ) -> Response:
        transfer = answer.work if isinstance(answer, SlowResponse) else None
        if not isinstance(transfer, uploads.BodyTransfer) or not isinstance(answer, SlowResponse):
            return super().finish(answer, scope)
        exchange = uploads.exchange_of(self.request._request)
        if exchange is not None:
            exchange.suspended = uploads.SuspendedResponse(transfer, answer, scope)
            return Response(status=202)  # This response is not sent.
        try:
            return super().finish(answer, scope)
        finally:
            transfer.sink.close()
