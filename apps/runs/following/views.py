"""The event stream of one run: its API documentation, and its response on a server without ASGI."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.live.views import PARAMETERS, EventStreamRenderer, respond_once
from apps.orgs.http.views import OrgView
from apps.runs.following.feed import feed_for
from apps.web.schema import operation
from apps.web.wire import JSONRenderer

EXAMPLE_STREAM = (
    'id: 7\nevent: progress\ndata: {"read":40000,"written":40000,"rejected":0,"skipped":0,"rate":51200.0,"at":"2026-11-22T09:00:01Z"}\n\n'
    'id: 8\nevent: log\ndata: {"first_line":3,"lines":[{"at":"2026-11-22T09:00:01Z","level":"info",'
    '"message":"Published 40,000 records","fields":{}}]}\n\n'
    'id: 9\nevent: end\ndata: {"status":"succeeded"}\n\n'
)


class RunEventsView(OrgView):
    renderer_classes = [EventStreamRenderer, JSONRenderer]

    @operation(
        "runs_events",
        tag="runs",
        summary="Follow a run: its states, progress, log and end, as server-sent events",
        answer=str,
        media_type="text/event-stream",
        other_responses={204: "The run has ended and all events were sent: do not reconnect."},
        example=EXAMPLE_STREAM,
        errors=(404,),
        parameters=PARAMETERS,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Each event has a number (`id`), a kind (`event`) and a JSON body (`data`).

        - `run`: the run as `GET /runs/{id}` shows it, whenever its state changes
        - `progress`: run_id, read, written, rejected, skipped, bytes, iterations, total, rate (records a second),
          eta_seconds and at (when it was counted), at most once a second
        - `log`: first_line (a line number) and the lines from that line on, each with at, level, message and fields
        - `drift`: run_id, pipeline_id, changes (how many) and streams (up to ten names), if the source has changed since
          the run before; `GET /pipelines/{id}/drift` lists the changes
        - `end`: the status in which the run ended; nothing follows

        Reconnect with `Last-Event-ID`: no event is lost or sent twice.
        """
        return respond_once(request, feed_for(self.principal, pk))
