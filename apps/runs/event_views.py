"""The streams' routes as the document describes them, and as a server without ASGI answers them.

`config.asgi` sends GET requests to `apps.runs.streams`, which stay open. Here, under plain WSGI, the
same frames are answered once; an EventSource then reconnects and reads on from where it was.
"""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.runs.feeds import Source
from apps.runs.streams import RETRY, last_event_id, missed, source_for
from config.api import OrgView
from config.schema import operation
from config.wire import JSONRenderer

PARAMETERS = [
    OpenApiParameter(
        "Last-Event-ID",
        {"type": "integer", "minimum": 0},
        OpenApiParameter.HEADER,
        description="Number of the last event seen; what follows it comes first.",
    ),
    OpenApiParameter(
        "last_event_id",
        {"type": "integer", "minimum": 0},
        description="The same, for clients that cannot send headers.",
    ),
    OpenApiParameter("ticket", str, description="A stream ticket, in place of Authorization."),
]


class EventStreamRenderer(JSONRenderer):
    """So that `Accept: text/event-stream` is acceptable; problems stay JSON."""

    media_type = "text/event-stream"
    format = "event-stream"


class RunEventsView(OrgView):
    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @operation(
        "runs_events",
        tag="runs",
        summary="Follow a run: its states, progress, log and end, as server-sent events",
        answer=str,
        media_type="text/event-stream",
        errors=(404,),
        parameters=PARAMETERS,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return _answer(request, source_for(self.principal, pk))


class OrgEventsView(OrgView):
    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @operation(
        "events",
        tag="runs",
        summary="Follow the organization: every change of every run's state, as server-sent events",
        answer=str,
        media_type="text/event-stream",
        parameters=PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        return _answer(request, source_for(self.principal, None))


def _answer(request: Request, source: Source) -> Response:
    found = missed(source, last_event_id(request._request))
    if found.ended and not found.frames:
        return Response(status=204)
    return Response(b"".join((RETRY, *found.frames)), content_type="text/event-stream")
