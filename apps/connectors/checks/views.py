"""Views that check saved and unsaved connectors, and list the streams of sources.

No transaction waits for the remote system.
"""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request

from apps.connectors.checks import services as checks
from apps.connectors.checks.next_steps import STEPS
from apps.connectors.serializers import (
    ChangedSettings,
    CheckAnswer,
    CheckRequest,
    StreamsAnswer,
    StreamsQuery,
)
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.slow import SlowResponse
from apps.web.views import data_of, query_of

CHECK_EXAMPLE = {
    "ok": False,
    "steps": [
        {
            "step": "resolve",
            "ok": True,
            "message": "db.example.com is 93.184.216.34",
            "ms": 3.1,
            "next_step": None,
        },
        {
            "step": "connect",
            "ok": False,
            "message": "connection refused",
            "ms": 12.4,
            "next_step": STEPS["connect"],
        },
    ],
}
STREAMS_EXAMPLE = {
    "ok": True,
    "streams": [
        {
            "name": "public.flights",
            "fields": [{"name": "id", "type": "integer", "nullable": False}],
            "primary_key": ["id"],
            "cursor_fields": ["id"],
            "sync_modes": ["full_refresh", "incremental"],
        }
    ],
    "found_at": "2026-11-22T10:00:00Z",
    "failure": None,
}


class CheckSaved(OrgView):
    permissions = {"post": Permission.CONNECTORS_EDIT}

    @operation(
        "connectors_check",
        tag="connectors",
        summary="Test a saved connector, step by step, also with changed settings before they are saved",
        request=ChangedSettings,
        answer=CheckAnswer,
        errors=(404, 413, 422),
        example=CHECK_EXAMPLE,
        request_example={"config": {"port": 5433}},
    )
    def post(self, request: Request, pk: UUID) -> SlowResponse:
        data = data_of(ChangedSettings, request)
        check = checks.check_changed if "config" in data else checks.check_saved
        return self.wait_for(check(org=self.org, by=self.principal, connector_id=pk, **data))


class CheckUnsaved(OrgView):
    permissions = {"post": Permission.CONNECTORS_EDIT}

    @operation(
        "connectors_check_unsaved",
        tag="connectors",
        summary="Test settings that are not saved",
        request=CheckRequest,
        answer=CheckAnswer,
        errors=(422,),
        example=CHECK_EXAMPLE,
        request_example={
            "role": "source",
            "kind": "postgres",
            "config": {"host": "db.example.com", "database": "shop", "user": "reader"},
        },
    )
    def post(self, request: Request) -> SlowResponse:
        data = data_of(CheckRequest, request)
        call = checks.check_unsaved(org=self.org, by=self.principal, **data)
        return self.wait_for(call)


class Streams(OrgView):
    @operation(
        "connectors_streams",
        tag="connectors",
        summary="List the streams of a saved source, with their fields; the list is stored for a day",
        answer=StreamsAnswer,
        parameters=[StreamsQuery],
        errors=(404, 409),
        example=STREAMS_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> SlowResponse:
        query = query_of(StreamsQuery, request)
        call = checks.list_streams(org=self.org, by=self.principal, connector_id=pk, **query)
        return self.wait_for(call)
