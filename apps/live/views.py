"""Views of the org's event stream and of stream tickets.

`config.asgi` passes GET requests for event streams to `apps.live.consumers`, where they stay open. The view of the org's
event stream documents the route. Under plain WSGI it returns the current frames once; an EventSource then reconnects and continues.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.live import tickets
from apps.live.feeds import EventFeed
from apps.live.frames import RETRY_LINE, event_stream_body
from apps.live.opening import StreamTarget, feed_for, last_event_id
from apps.live.streams import read_backlog
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.wire import JSONRenderer

PARAMETERS = [
    OpenApiParameter(
        "Last-Event-ID",
        {"type": "integer", "minimum": 0},
        OpenApiParameter.HEADER,
        description="Number of the last received event; the stream continues after it.",
    ),
    OpenApiParameter(
        "last_event_id",
        {"type": "integer", "minimum": 0},
        description="Like Last-Event-ID, for clients that cannot send headers.",
    ),
    OpenApiParameter("ticket", str, description="A stream ticket, instead of Authorization."),
]


class EventStreamRenderer(JSONRenderer):
    """Accepts `Accept: text/event-stream`. Problems are still JSON."""

    media_type = "text/event-stream"
    format = "event-stream"


ORG_STREAM_EXAMPLE = (
    'id: 41\nevent: run\ndata: {"id":"01936c70-1111-7222-8333-444455556666","status":"running"}\n\n'
)


class OrgEventsView(OrgView):
    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @operation(
        "events",
        tag="runs",
        summary="Follow the organization: all changes of runs' states and of sources, as server-sent events",
        answer=str,
        media_type="text/event-stream",
        example=ORG_STREAM_EXAMPLE,
        parameters=PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        """The event `hello` has the number of the newest event. It is sent to clients that send no `Last-Event-ID`.

        The event `run` has a run as in `GET /runs/{id}`. It is sent whenever the state changes. The event `drift` says that a
        run has found changes at the source of its pipeline, which `GET /pipelines/{id}/drift` lists. Reconnect with
        `Last-Event-ID`: no event is lost or sent twice.
        """
        return respond_once(request, feed_for(self.principal, StreamTarget()))


def respond_once(request: Request, feed: EventFeed) -> Response:
    """Return the current frames. Without ASGI it is not possible to wait for more frames."""
    backlog = read_backlog(feed, last_event_id(request._request))
    if backlog.ended and not backlog.frames:
        return Response(status=204)
    body = RETRY_LINE + event_stream_body(backlog.frames)
    return Response(body, content_type="text/event-stream")


class StreamTicketAnswer(serializers.Serializer[Any]):
    ticket = serializers.CharField(
        help_text="Send it once: an EventSource as ?ticket=, a websocket as the subprotocol drover.ticket.TICKET."
    )
    expires_in = serializers.IntegerField(help_text="Seconds until the ticket expires.")


class StreamTicketView(OrgView):
    session_methods = frozenset({"post"})
    methods_while_read_only = frozenset({"post"})
    permissions = {"post": Permission.READ}

    @operation(
        "auth_stream_ticket",
        tag="auth",
        summary="Create a single-use ticket, valid for 30 s, for an EventSource or a websocket",
        answer=StreamTicketAnswer,
        status=201,
        example={"ticket": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "expires_in": 30},
    )
    def post(self, request: Request) -> Response:
        ticket = tickets.issue(by=self.principal)
        expires_in = int(tickets.LIFETIME.total_seconds())
        return Response({"ticket": ticket, "expires_in": expires_in}, status=201)
