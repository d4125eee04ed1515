"""Views of the changes at the source of a pipeline: list them, and decide about one."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.pipelines import examples
from apps.pipelines.drift import services
from apps.pipelines.drift.rendering import COLUMNS, render_change
from apps.pipelines.drift.serializers import DriftDecision, DriftQuery, SourceChangeSerializer
from apps.web.paging import newest_first, oldest_first, page
from apps.web.schema import PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import data_of, query_of

ORDERS = {"newest": newest_first(), "oldest": oldest_first()}
CHANGE_EXAMPLE = {
    "id": "019caa57-7cbc-7a47-9e75-d7e5a0a3a6a9",
    "run_id": "01936c70-1111-7222-8333-444455556666",
    "stream": "public.flights",
    "kind": "column_added",
    "column": "gate",
    "before": "",
    "after": "text",
    "effect": "left_out",
    "decision": None,
    "decided_by": None,
    "decided_at": None,
    "created_at": "2026-11-29T09:00:00Z",
}
DECIDED_EXAMPLE = {
    **CHANGE_EXAMPLE,
    "effect": "arrives",
    "decision": "accept",
    "decided_by": {"id": examples.ID, "name": "Ada"},
    "decided_at": "2026-11-29T10:00:00Z",
}


class Drift(OrgView):
    @operation(
        "pipelines_drift",
        tag="pipelines",
        summary="List what has changed at the source of a pipeline since earlier runs",
        answer=page_of(SourceChangeSerializer),
        errors=(404,),
        parameters=[DriftQuery, *PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [CHANGE_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        query = query_of(DriftQuery, request)
        found = services.list_changes(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            decided=query["decided"],
            run_id=query["run"],
        )
        render = partial(render_change, found.streams)
        return page(
            request, found.rows.values(*COLUMNS), orders=ORDERS, default="newest", render=render
        )


class Decide(OrgView):
    permissions = {"post": Permission.PIPELINES_EDIT}

    @operation(
        "pipelines_drift_decide",
        tag="pipelines",
        summary="Accept or ignore a change at the source, or pause the schedule because of it",
        request=DriftDecision,
        answer=SourceChangeSerializer,
        errors=(404, 409, 422),
        example=DECIDED_EXAMPLE,
        request_example={"decision": "accept"},
    )
    def post(self, request: Request, pk: UUID, change_id: UUID) -> Response:
        decision = data_of(DriftDecision, request)["decision"]
        found = services.decide(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            change_id=change_id,
            decision=decision,
        )
        return Response(render_change(found.streams, found.rows.values(*COLUMNS).get()))
