"""The streams' routes as the document describes them, and as a server without ASGI answers them.

`config.asgi` sends GET requests to `apps.runs.streams`, which stay open. Here, under plain WSGI, the
same frames are answered once; an EventSource then reconnects and reads on from where it was.
"""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.runs.feeds import Source
from apps.runs.streams import RETRY, last_event_id, missed, source_for
from apps.web.schema import operation
from apps.web.wire import JSONRenderer

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


RUN_STREAM = (
    'id: 7\nevent: progress\ndata: {"read":40000,"written":40000,"rejected":0,"rate":51200.0}\n\n'
    'id: 8\nevent: log\ndata: {"first_line":3,"lines":[{"at":"2026-11-22T09:00:01Z","level":"info",'
    '"message":"Published 40,000 rows","fields":{}}]}\n\n'
    'id: 9\nevent: end\ndata: {"status":"succeeded"}\n\n'
)
ORG_STREAM = (
    'id: 41\nevent: run\ndata: {"id":"01936c70-1111-7222-8333-444455556666","status":"running"}\n\n'
)


class RunEventsView(OrgView):
    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @operation(
        "runs_events",
        tag="runs",
        summary="Follow a run: its states, progress, log and end, as server-sent events",
        answer=str,
        media_type="text/event-stream",
        also={204: "The run has ended and everything was seen: do not come back."},
        example=RUN_STREAM,
        errors=(404,),
        parameters=PARAMETERS,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Each event has a number (`id`), a kind (`event`) and a JSON body (`data`).

        - `run`: the run as `GET /runs/{id}` shows it, whenever its state changes
        - `progress`: run_id, read, written, rejected, bytes, iterations, total, rate (records a second) and
          eta_seconds, at most once a second
        - `log`: first_line and the lines from there on, each with at, level, message and fields
        - `end`: the status in which the run ended; nothing follows

        Reconnect with `Last-Event-ID`: nothing is lost and nothing comes twice.
        """
        return _answer(request, source_for(self.principal, pk))


class OrgEventsView(OrgView):
    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @operation(
        "events",
        tag="runs",
        summary="Follow the organization: every change of every run's state, as server-sent events",
        answer=str,
        media_type="text/event-stream",
        example=ORG_STREAM,
        parameters=PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        """`hello` tells the present number to who comes without one; `run` is a run as `GET /runs/{id}` shows
        it, whenever its state changes. Reconnect with `Last-Event-ID`: nothing is lost and nothing comes twice.
        """
        return _answer(request, source_for(self.principal, None))


def _answer(request: Request, source: Source) -> Response:
    found = missed(source, last_event_id(request._request))
    if found.ended and not found.frames:
        return Response(status=204)
    return Response(b"".join((RETRY, *found.frames)), content_type="text/event-stream")
