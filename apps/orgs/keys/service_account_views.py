"""Service accounts over HTTP.

The routes under `/org/members` change the role and the domain roles of a service account, and remove it.
"""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.keys import service_accounts
from apps.orgs.keys.views import CREATED_KEY_EXAMPLE, KeyView
from apps.orgs.members import serializers as forms
from apps.orgs.members import visibility
from apps.orgs.members.views import (
    MEMBER_EXAMPLE,
    MEMBER_ORDERS,
    MEMBER_PAGE,
    member_response,
    member_row,
    page_example,
)
from apps.orgs.roles import Permission, Role
from apps.web.paging import page
from apps.web.schema import PAGE_PARAMETERS, operation, order_of
from apps.web.views import data_of

SERVICE_EXAMPLE = {
    **MEMBER_EXAMPLE,
    "email": "01936c66-8192-7374-ac63-5f6071829304@service.invalid",
    "name": "Terraform",
    "kind": "service",
}


class ServiceAccounts(OrgView):
    permissions = {"get": Permission.API_KEYS_MANAGE, "post": Permission.API_KEYS_MANAGE}
    session_methods = frozenset({"post"})

    @operation(
        "service_accounts_list",
        tag="service accounts",
        summary="List service accounts",
        answer=MEMBER_PAGE,
        parameters=[*PAGE_PARAMETERS, order_of(MEMBER_ORDERS, "oldest")],
        example=page_example(SERVICE_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        rows = visibility.service_accounts(self.org).rows()
        return page(request, rows, orders=MEMBER_ORDERS, default="oldest", render=member_row)

    @operation(
        "service_accounts_create",
        tag="service accounts",
        summary="Create a service account, with at most your own role",
        request=forms.NewServiceAccount,
        answer=forms.Member,
        status=201,
        example=SERVICE_EXAMPLE,
        request_example={"name": "Terraform", "role": "member"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.NewServiceAccount, request)
        account = service_accounts.create(
            org=self.org, by=self.principal, name=data["name"], role=Role(data["role"])
        )
        return member_response(account, status=201)


class ServiceAccountKeys(KeyView):
    permissions = {"post": Permission.API_KEYS_MANAGE}
    session_methods = frozenset({"post"})

    @operation(
        "service_accounts_keys_create",
        tag="service accounts",
        summary="Create a key of a service account, with at most its role; it is shown only once",
        request=forms.NewServiceAccountKey,
        answer=forms.CreatedApiKey,
        status=201,
        errors=(404,),
        example=CREATED_KEY_EXAMPLE,
        request_example={"name": "CI", "scopes": ["pipelines.run", "read"]},
    )
    def post(self, request: Request, pk: UUID) -> Response:
        data = data_of(forms.NewServiceAccountKey, request)
        created = service_accounts.create_key(
            org=self.org,
            by=self.principal,
            member_id=pk,
            name=data["name"],
            scopes=[Permission(scope) for scope in data["scopes"]],
            domain_id=data["domain_id"],
            expires_at=data["expires_at"],
        )
        return self.key_response(created)
