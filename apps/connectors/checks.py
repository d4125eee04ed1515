"""Asking a connection over HTTP: does it work, what does it offer. No transaction waits for the other side."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import engine, services
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.exceptions import NotASource
from apps.connectors.models import Connector
from apps.connectors.serializers import CheckAnswer, CheckRequest, Empty, StreamsAnswer
from apps.connectors.views import ConnectorView
from apps.orgs.http.views import one
from apps.orgs.roles import Permission
from apps.web.schema import operation
from apps.web.slow import Slowly
from apps.web.views import data_of

CHECK_EXAMPLE = {
    "ok": False,
    "steps": [
        {"step": "resolve", "ok": True, "message": "db.example.com is 93.184.216.34", "ms": 3.1},
        {"step": "connect", "ok": False, "message": "connection refused", "ms": 12.4},
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
    "failure": None,
}


class CheckSaved(ConnectorView):
    permissions = {"post": Permission.CONNECTORS_EDIT}

    @operation(
        "connectors_check",
        tag="connectors",
        summary="Try a saved connector, step by step",
        request=Empty,
        answer=CheckAnswer,
        errors=(404,),
        example=CHECK_EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> Slowly:
        connector: Connector = one(self.connectors(), pk)
        self.principal.require(Permission.CONNECTORS_EDIT, domain_id=connector.domain_id)
        kind, config = services.resolve(self.org, connector)
        ask = partial(
            engine.check,
            org_id=self.org.pk,
            role=connector.role,
            kind=kind,
            config=config,
            code=custom_kinds.code_of(self.org, kind),
        )

        def remember(answer: dict[str, Any]) -> Response:
            services.note_check(
                org=self.org, connector_id=pk, version=connector.version, ok=answer["ok"]
            )
            return Response(answer)

        return Slowly(ask, then=remember)


class CheckUnsaved(ConnectorView):
    permissions = {"post": Permission.CONNECTORS_EDIT}

    @operation(
        "connectors_check_unsaved",
        tag="connectors",
        summary="Try settings that are not saved",
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
    def post(self, request: Request) -> Slowly:
        data = data_of(CheckRequest, request)
        kind = services.known_kind(self.org, data["role"], data["kind"])
        plain = services.checked(kind, data["config"]).plain
        ask = partial(
            engine.check,
            org_id=self.org.pk,
            role=kind.role,
            kind=kind.name,
            config=plain,
            code=custom_kinds.code_of(self.org, kind.name),
        )
        return Slowly(ask, then=Response)


class Streams(ConnectorView):
    @operation(
        "connectors_streams",
        tag="connectors",
        summary="The streams behind a saved source, with their fields",
        answer=StreamsAnswer,
        errors=(404, 409),
        example=STREAMS_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Slowly:
        connector: Connector = one(self.connectors(), pk)
        if connector.role != "source":
            raise NotASource
        kind, config = services.resolve(self.org, connector)
        ask = partial(
            engine.discover,
            org_id=self.org.pk,
            kind=kind,
            config=config,
            code=custom_kinds.code_of(self.org, kind),
        )
        return Slowly(ask, then=Response)
