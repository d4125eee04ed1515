"""API keys over HTTP.

Only users can create and rotate keys. Otherwise a key could create another key that has a later expiry.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.keys import services as api_keys
from apps.orgs.members import serializers as forms
from apps.orgs.queries import ApiKeyColumns
from apps.orgs.roles import Permission, Role
from apps.web.paging import Order, newest_first, page
from apps.web.schema import PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import data_of, query_of

KEY_EXAMPLE: dict[str, Any] = {
    "id": "01936c62-4d5e-7f31-8a20-1b2c3d4e5f60",
    "name": "Nightly loader",
    "prefix": "3f9a1c0b7d2e",
    "role": "member",
    "scopes": ["pipelines.run", "read"],
    "domain_id": None,
    "created_by": {"id": "01936c5e-7d7a-7c3e-9a62-5a4f0d1c2b3a", "email": "ada@example.com"},
    "created_at": "2026-11-22T09:00:00Z",
    "expires_at": None,
    "last_used_at": None,
    "revoked_at": None,
}
CREATED_KEY_EXAMPLE = {**KEY_EXAMPLE, "key": "drv_3f9a1c0b7d2e_…_1a2b3c4d"}
ORDERS = {"newest": newest_first(), "name": Order("name")}


def key_row(row: ApiKeyColumns) -> dict[str, object]:
    creator = {"id": row["created_by_id"], "email": row["created_by__email"]}
    columns = {name: value for name, value in row.items() if not name.startswith("created_by_")}
    return {**columns, "created_by": creator}


class KeyView(OrgView):
    def key_response(self, created: api_keys.CreatedKey) -> Response:
        row = api_keys.key_columns(created.row)
        return Response({**key_row(row), "key": created.text}, status=201)


class ApiKeys(KeyView):
    permissions = {"get": Permission.API_KEYS_OWN, "post": Permission.API_KEYS_OWN}
    session_methods = frozenset({"post"})

    @operation(
        "api_keys_list",
        tag="api keys",
        summary="List your keys, or all keys if you may manage keys, without their secrets",
        answer=page_of(forms.ApiKeyRow),
        parameters=[forms.ApiKeyFilter, *PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [KEY_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        filters = query_of(forms.ApiKeyFilter, request)
        rows = api_keys.visible_keys(self.org, self.principal).rows()
        if "revoked" in filters:
            rows = rows.filter(revoked_at__isnull=not filters["revoked"])
        return page(request, rows, orders=ORDERS, default="newest", render=key_row)

    @operation(
        "api_keys_create",
        tag="api keys",
        summary="Create a key, with at most your own role; it is shown only once",
        request=forms.NewApiKey,
        answer=forms.CreatedApiKey,
        status=201,
        example=CREATED_KEY_EXAMPLE,
        request_example={"name": "Nightly loader", "role": "member", "scopes": ["pipelines.run"]},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.NewApiKey, request)
        created = api_keys.create(
            org=self.org,
            by=self.principal,
            name=data["name"],
            role=Role(data["role"]),
            scopes=[Permission(scope) for scope in data["scopes"]],
            domain_id=data["domain_id"],
            expires_at=data["expires_at"],
        )
        return self.key_response(created)


class OneApiKey(KeyView):
    permissions = {"delete": Permission.API_KEYS_OWN}

    @operation(
        "api_keys_revoke",
        tag="api keys",
        summary="Revoke a key at once",
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        api_keys.revoke(org=self.org, by=self.principal, key_id=pk)
        return Response(status=204)


class ApiKeyRotation(KeyView):
    permissions = {"post": Permission.API_KEYS_OWN}
    session_methods = frozenset({"post"})

    @operation(
        "api_keys_rotate",
        tag="api keys",
        summary="Replace a key by a new key; the old key keeps working for `grace_seconds`",
        request=forms.Rotation,
        answer=forms.CreatedApiKey,
        status=201,
        errors=(404,),
        example=CREATED_KEY_EXAMPLE,
        request_example={"grace_seconds": 3600},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        grace = timedelta(seconds=data_of(forms.Rotation, request)["grace_seconds"])
        created = api_keys.rotate(org=self.org, by=self.principal, key_id=pk, grace=grace)
        return self.key_response(created)
