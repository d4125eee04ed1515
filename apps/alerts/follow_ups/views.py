"""Follow-ups of a pipeline over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.alerts.follow_ups import calls, services
from apps.alerts.follow_ups.choices import CallKind, CallState
from apps.alerts.follow_ups.models import FollowUp
from apps.alerts.follow_ups.serializers import (
    FollowUpCallRow,
    FollowUpCreate,
    FollowUpRow,
    FollowUpUpdate,
)
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.paging import Order, newest_first, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, page_of
from apps.web.views import data_of, etag, match_of

COLUMNS = ("id", "name", "kind", "after", "enabled", "created_at", "updated_at")
SETTINGS_COLUMNS = ("settings", "secret_hints")
CALL_COLUMNS = (
    *("id", "run_id", "state", "attempts", "answer_status", "answer", "problem"),
    *("created_at", "sent_at"),
)
ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f77"
EXAMPLE: dict[str, Any] = {
    "id": ID,
    "name": "Models",
    "kind": "dbt_cloud",
    "after": "success",
    "settings": {
        "url": "https://cloud.getdbt.com",
        "account_id": 4711,
        "job_id": 815,
        "token": {"set": True, "last4": "x4Qz"},
    },
    "enabled": True,
    "created_at": "2026-11-22T08:00:00Z",
    "updated_at": "2026-11-22T08:00:00Z",
}
CREATE_EXAMPLE: dict[str, Any] = {
    "name": "Models",
    "kind": "dbt_cloud",
    "settings": {
        "url": "https://cloud.getdbt.com",
        "account_id": 4711,
        "job_id": 815,
        "token": "dbtc_…",
    },
}
CALL_EXAMPLE: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f78",
    "follow_up": {"id": ID, "name": "Models"},
    "run_id": "0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11",
    "state": "sent",
    "attempts": 1,
    "next_attempt_at": None,
    "answer_status": 200,
    "answer": '{"status": {"code": 200}, "data": {"id": 34929305}}',
    "problem": "",
    "created_at": "2026-11-22T08:05:00Z",
    "sent_at": "2026-11-22T08:05:01Z",
    "test": False,
}


def render(row: Any) -> dict[str, object]:
    settings = services.shown_settings(
        row["kind"], row["settings"], row["secret_hints"], is_editor=row["is_editor"]
    )
    return {**{name: row[name] for name in COLUMNS}, "settings": settings}


def render_call(row: Any) -> dict[str, object]:
    is_pending = row["state"] == CallState.PENDING
    return {
        **{name: row[name] for name in CALL_COLUMNS},
        "answer": row["answer"] if row["is_editor"] else "",
        "follow_up": {"id": row["follow_up_id"], "name": row["follow_up__name"]},
        "next_attempt_at": row["next_attempt_at"] if is_pending else None,
        "test": row["payload__kind"] == CallKind.TEST,
    }


class FollowUpView(OrgView):
    permissions = dict.fromkeys(("post", "patch", "delete"), Permission.PIPELINES_EDIT)

    def follow_up_response(
        self, follow_up: FollowUp, *, is_editor: bool = True, status: int = 200
    ) -> Response:
        row = {name: getattr(follow_up, name) for name in (*COLUMNS, *SETTINGS_COLUMNS)}
        body = render({**row, "is_editor": is_editor})
        return Response(body, status=status, headers={"ETag": etag(follow_up.etag)})


class FollowUps(FollowUpView):
    @operation(
        "follow_ups_list",
        tag="pipelines",
        summary="List what is called after the runs of the pipeline",
        answer=page_of(FollowUpRow),
        errors=(404,),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        rows = services.follow_ups(org=self.org, by=self.principal, pipeline_id=pk)
        columns = rows.values(*COLUMNS, *SETTINGS_COLUMNS, "is_editor")
        orders = {"name": Order("name")}
        return page(request, columns, orders=orders, default="name", render=render)

    @operation(
        "follow_ups_create",
        tag="pipelines",
        summary="Call a webhook or start a job of dbt Cloud after each run of the pipeline",
        request=FollowUpCreate,
        answer=FollowUpRow,
        status=201,
        errors=(404, 409, 422),
        example=EXAMPLE,
        request_example=CREATE_EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        fields = data_of(FollowUpCreate, request)
        created = services.create(org=self.org, by=self.principal, pipeline_id=pk, **fields)
        return self.follow_up_response(created, status=201)


class FollowUpById(FollowUpView):
    @operation(
        "follow_ups_get",
        tag="pipelines",
        summary="Show a follow-up",
        answer=FollowUpRow,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID, follow_up: UUID) -> Response:
        found, is_editor = services.find_follow_up(
            org=self.org, by=self.principal, pipeline_id=pk, follow_up_id=follow_up
        )
        return self.follow_up_response(found, is_editor=is_editor)

    @operation(
        "follow_ups_update",
        tag="pipelines",
        summary="Change a follow-up; secrets that are left out are kept",
        request=FollowUpUpdate,
        answer=FollowUpRow,
        errors=(404, 409, 412, 422),
        parameters=[IF_MATCH],
        example={**EXAMPLE, "enabled": False},
        request_example={"enabled": False},
    )
    def patch(self, request: Request, pk: UUID, follow_up: UUID) -> Response:
        changed = services.update(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            follow_up_id=follow_up,
            changes=data_of(FollowUpUpdate, request),
            match=match_of(request),
        )
        return self.follow_up_response(changed)

    @operation(
        "follow_ups_delete",
        tag="pipelines",
        summary="Delete a follow-up with the log of its calls",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID, follow_up: UUID) -> Response:
        services.delete(
            org=self.org,
            by=self.principal,
            pipeline_id=pk,
            follow_up_id=follow_up,
            match=match_of(request),
        )
        return Response(status=204)


class TestFollowUp(FollowUpView):
    __test__ = False  # not a class of tests

    @operation(
        "follow_ups_test",
        tag="pipelines",
        summary="Make a test call soon, with the newest run that has ended; the list of calls shows the answer",
        answer=FollowUpCallRow,
        status=202,
        errors=(404, 409),
        example={**CALL_EXAMPLE, "test": True},
    )
    def post(self, request: Request, pk: UUID, follow_up: UUID) -> Response:
        call = calls.test(org=self.org, by=self.principal, pipeline_id=pk, follow_up_id=follow_up)
        row = {name: getattr(call, name) for name in (*CALL_COLUMNS, "next_attempt_at")}
        row |= {"follow_up_id": follow_up, "follow_up__name": call.follow_up.name}
        row |= {"payload__kind": call.payload["kind"], "is_editor": True}
        return Response(render_call(row), status=202)


class FollowUpCalls(FollowUpView):
    @operation(
        "follow_ups_calls",
        tag="pipelines",
        summary="List the calls after the runs of the pipeline with their answers, newest first, for 90 days",
        answer=page_of(FollowUpCallRow),
        errors=(404,),
        parameters=[*PAGE_PARAMETERS],
        example={"results": [CALL_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        rows = services.calls(org=self.org, by=self.principal, pipeline_id=pk).values(
            *(*CALL_COLUMNS, "next_attempt_at", "follow_up_id", "follow_up__name"),
            *("payload__kind", "is_editor"),
        )
        orders = {"newest": newest_first()}
        return page(request, rows, orders=orders, default="newest", render=render_call)
