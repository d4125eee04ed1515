"""The org's stream as the document describes it and as a server without ASGI answers it; and stream tickets.

`config.asgi` sends GET requests for streams to `apps.live.streams`, which stay open. Here, under plain WSGI, the
same frames are answered once; an EventSource then reconnects and reads on from where it was.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.live import tickets
from apps.live.feeds import EventFeed
from apps.live.streams import RETRY, Wanted, feed_for, last_event_id, missed
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
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


ORG_STREAM = (
    'id: 41\nevent: run\ndata: {"id":"01936c70-1111-7222-8333-444455556666","status":"running"}\n\n'
)


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
        return answer_once(request, feed_for(self.principal, Wanted()))


def answer_once(request: Request, feed: EventFeed) -> Response:
    """The frames there are now; without ASGI nothing can be waited for."""
    found = missed(feed, last_event_id(request._request))
    if found.ended and not found.frames:
        return Response(status=204)
    return Response(b"".join((RETRY, *found.frames)), content_type="text/event-stream")


class StreamTicketAnswer(serializers.Serializer[Any]):
    ticket = serializers.CharField(help_text="Send as ?ticket= once.")
    expires_in = serializers.IntegerField(help_text="Seconds.")


class StreamTicket(OrgView):
    session_methods = frozenset({"post"})
    always_methods = frozenset({"post"})
    permissions = {"post": Permission.READ}

    @operation(
        "auth_stream_ticket",
        tag="auth",
        summary="A single-use pass of 30 s for EventSource, which cannot send headers",
        answer=StreamTicketAnswer,
        status=201,
        example={"ticket": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "expires_in": 30},
    )
    def post(self, request: Request) -> Response:
        ticket = tickets.issue(by=self.principal)
        expires_in = int(tickets.LIFETIME.total_seconds())
        return Response({"ticket": ticket, "expires_in": expires_in}, status=201)
