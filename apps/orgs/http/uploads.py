"""The base class of views that receive a body of any size."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from django.http import HttpRequest
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.web import uploads
from apps.web.slow import SlowResponse


class UploadView(OrgView):
    """A view whose handler returns a `SlowResponse` with a `BodyTransfer` as its work (apps.web.uploads)."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        exchange = uploads.exchange_of(request)
        suspended = exchange.suspended if exchange is not None else None
        if exchange is None or suspended is None:
            return super().dispatch(request, *args, **kwargs)
        self.args, self.kwargs = args, kwargs
        drf_request = self.initialize_request(request, *args, **kwargs)
        self.request = drf_request
        self.headers = self.default_response_headers
        try:
            response = exchange.resume(suspended)
        # This is the outermost handler. The exception becomes a problem response, or is raised again.
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(drf_request, response, *args, **kwargs)
        return self.response

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
