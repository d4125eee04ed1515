"""Views of saved connectors. Each one parses the request, makes one service call, and renders the result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response

from apps.connectors import services
from apps.connectors.models import Connector, ConnectorColumns
from apps.connectors.serializers import (
    ConnectorCreate,
    ConnectorDetail,
    ConnectorFilter,
    ConnectorReplace,
    ConnectorRow,
    ConnectorUpdate,
)
from apps.connectors.services import ConnectorChanges, Usage
from apps.orgs.http.views import OrgView
from apps.orgs.roles import Permission
from apps.web.paging import Order, newest_first, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import data_of, etag, match_of, query_of

ROW_EXAMPLE = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10",
    "name": "Shop database",
    "role": "source",
    "kind": "postgres",
    "description": "",
    "domain": {"id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f11", "name": "Sales"},
    "check_ok": True,
    "checked_at": "2026-11-22T10:00:00Z",
    "worked_at": "2026-11-22T11:00:07Z",
    "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-22T09:00:00Z",
    "pipeline_count": 2,
}
CONFIG_EXAMPLE = {"host": "db.example.com", "port": 5432, "database": "shop", "user": "reader"}
EXAMPLE = {
    **ROW_EXAMPLE,
    "config": {**CONFIG_EXAMPLE, "password": {"set": True, "last4": "9f2c"}},
    "version": 1,
}
CREATE_EXAMPLE = {
    "name": "Shop database",
    "role": "source",
    "kind": "postgres",
    "config": {**CONFIG_EXAMPLE, "password": "correct-horse-9f2c"},
}
COMPUTED_FIELDS = {"domain", "pipeline_count", "worked_at"}
COPIED_FIELDS = [name for name in ROW_EXAMPLE if name not in COMPUTED_FIELDS]
ORDERS = {
    "newest": newest_first(),
    "name": Order("name"),
    "kind": Order("kind"),
    "updated": newest_first("updated_at"),
    "tested": newest_first("last_test_at"),
}
NEVER = Value(datetime.min.replace(tzinfo=UTC))  # orders connectors without a test last


def render_row(values: ConnectorColumns, usage: Usage) -> dict[str, object]:
    """Render a connector in a list, from `.rows()`."""
    copied = {name: values[name] for name in COPIED_FIELDS}  # type: ignore[literal-required]
    domain = {"id": values["domain_id"], "name": values["domain__name"]}
    return {
        **copied,
        "domain": domain if values["domain_id"] else None,
        "worked_at": usage.worked_at(values["updated_at"]),
        "pipeline_count": usage.pipeline_count,
    }


def render_detail(connector: Connector, usage: Usage) -> dict[str, Any]:
    domain = connector.domain
    return {
        "id": connector.pk,
        "name": connector.name,
        "role": connector.role,
        "kind": connector.kind,
        "description": connector.description,
        "domain": {"id": domain.pk, "name": domain.name} if domain else None,
        "check_ok": connector.check_ok,
        "checked_at": connector.checked_at,
        "worked_at": usage.worked_at(connector.updated_at),
        "created_at": connector.created_at,
        "updated_at": connector.updated_at,
        "pipeline_count": usage.pipeline_count,
        "config": services.masked_config(connector),
        "version": connector.version,
    }


class ConnectorView(OrgView):
    """Base of the views that return a connector."""

    def connector_response(self, connector: Connector, status: int = 200) -> Response:
        usage = services.usage_of(self.org, self.principal, [connector.pk])
        body = render_detail(connector, usage[connector.pk])
        return Response(body, status=status, headers={"ETag": etag(connector.version)})


class Connectors(ConnectorView):
    permissions = {"post": Permission.CONNECTORS_EDIT}

    @operation(
        "connectors_list",
        tag="connectors",
        summary="List saved connectors, without their settings",
        answer=page_of(ConnectorRow),
        parameters=[ConnectorFilter, *PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [ROW_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = query_of(ConnectorFilter, request)
        rows = services.connectors(self.org, self.principal).matching(**filters).rows()
        rows = rows.annotate(last_test_at=Coalesce("checked_at", NEVER))
        return page(request, rows, orders=ORDERS, default="newest", render_all=self._rows)

    def _rows(self, rows: Sequence[Any]) -> list[dict[str, object]]:
        usage = services.usage_of(self.org, self.principal, [row["id"] for row in rows])
        return [render_row(row, usage[row["id"]]) for row in rows]

    @operation(
        "connectors_create",
        tag="connectors",
        summary="Create a connector for a source or destination; its secrets are stored encrypted",
        request=ConnectorCreate,
        answer=ConnectorDetail,
        status=201,
        errors=(409, 413, 422),
        example=EXAMPLE,
        request_example=CREATE_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        data = data_of(ConnectorCreate, request)
        connector = services.create(org=self.org, by=self.principal, **data)
        return self.connector_response(connector, 201)


class ConnectorById(ConnectorView):
    permissions = {
        "patch": Permission.CONNECTORS_EDIT,
        "put": Permission.CONNECTORS_EDIT,
        "delete": Permission.CONNECTORS_EDIT,
    }

    @operation(
        "connectors_retrieve",
        tag="connectors",
        summary="Show a connector with its settings, secrets masked",
        answer=ConnectorDetail,
        errors=(404,),
        example=EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        connector = services.find_connector(org=self.org, by=self.principal, connector_id=pk)
        return self.connector_response(connector)

    @operation(
        "connectors_update",
        tag="connectors",
        summary="Change a connector; secrets that are left out are kept",
        request=ConnectorUpdate,
        answer=ConnectorDetail,
        errors=(404, 409, 412, 413, 422),
        parameters=[IF_MATCH],
        example=EXAMPLE,
        request_example={"config": {"port": 5433}},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        return self.update(request, pk, data_of(ConnectorUpdate, request), patch=True)

    @operation(
        "connectors_replace",
        tag="connectors",
        summary="Replace a connector's settings; secrets that are left out are kept",
        request=ConnectorReplace,
        answer=ConnectorDetail,
        errors=(404, 409, 412, 413, 422),
        parameters=[IF_MATCH],
        example=EXAMPLE,
        request_example={"name": "Shop database", "config": CONFIG_EXAMPLE},
    )
    def put(self, request: Request, pk: UUID) -> Response:
        return self.update(request, pk, data_of(ConnectorReplace, request), patch=False)

    @operation(
        "connectors_delete",
        tag="connectors",
        summary="Delete an unused connector",
        status=204,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.delete(org=self.org, by=self.principal, connector_id=pk, match=match_of(request))
        return Response(status=204)

    def update(
        self, request: Request, pk: UUID, changes: ConnectorChanges, *, patch: bool
    ) -> Response:
        connector = services.update(
            org=self.org,
            by=self.principal,
            connector_id=pk,
            changes=changes,
            patch=patch,
            match=match_of(request),
        )
        return self.connector_response(connector)
