"""Routes about the org, its members and its domains."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.json import JsonObject
from apps.orgs.http.views import OrgView
from apps.orgs.members import domains, services, visibility
from apps.orgs.members import serializers as forms
from apps.orgs.models import Domain, Membership, Org
from apps.orgs.queries import MembershipColumns
from apps.orgs.roles import Permission, Role
from apps.orgs.versions import version_of_time
from apps.web.paging import Order, newest_first, oldest_first, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import data_of, etag, match_of, query_of

ORG_EXAMPLE = {
    "id": "01936c5e-8d10-7b11-8f0e-2f6a4c5d6e7f",
    "name": "Analytics",
    "slug": "analytics-3f9a1c",
    "max_running": 5,
    "max_pipelines": None,
    "max_members": None,
    "max_rows_month": None,
    "max_bytes_month": None,
    "keep_logs_days": 90,
    "keep_events_days": 90,
    "keep_runs_days": None,
    "keep_audit_days": 365,
    "require_second_factor": False,
    "require_sso": False,
    "email_domains": [],
    "networks": [],
    "suspended_at": None,
    "suspended_because": "",
    "deletion_at": None,
    "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-22T09:00:00Z",
}
MEMBER_EXAMPLE = {
    "id": "01936c60-11aa-7d10-b5a1-6f1e2d3c4b5a",
    "user_id": "01936c5e-7d7a-7c3e-9a62-5a4f0d1c2b3a",
    "email": "ada@example.com",
    "name": "Ada",
    "kind": "person",
    "role": "admin",
    "created_at": "2026-11-22T09:00:00Z",
}
DOMAIN_EXAMPLE = {
    "id": "01936c61-2b3c-7e21-9f10-0a1b2c3d4e5f",
    "name": "Marketing",
    "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-22T09:00:00Z",
}
DOMAIN_MEMBER_EXAMPLE = {
    "member_id": MEMBER_EXAMPLE["id"],
    "email": "ada@example.com",
    "role": "admin",
}
DOMAIN_DETAIL_EXAMPLE = {**DOMAIN_EXAMPLE, "members": [DOMAIN_MEMBER_EXAMPLE]}
ACCESS_EXAMPLE = {
    "role": "viewer",
    "role_here": "admin",
    "permissions": [
        {
            "permission": "pipelines.run",
            "allowed": True,
            "because": "The domain role in Marketing raises viewer to admin.",
        }
    ],
}
MEMBER_PAGE = page_of(forms.Member)
MEMBER_ORDERS = {"oldest": oldest_first(), "newest": newest_first(), "email": Order("user__email")}
DOMAIN_ORDERS = {"name": Order("name"), "newest": newest_first()}


def page_example(row: JsonObject) -> JsonObject:
    return {"results": [row], "next": None, "previous": None, "count": 1}


class Organization(OrgView):
    permissions = {"patch": Permission.ORG_UPDATE, "delete": Permission.ORG_DELETE}
    session_methods = frozenset({"delete"})
    methods_while_read_only = frozenset({"get", "head", "delete"})

    @operation(
        "org_get",
        tag="organization",
        summary="Show the organization of this credential",
        answer=forms.Organization,
        example=ORG_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return org_response(self.org)

    @operation(
        "org_update",
        tag="organization",
        summary="Change the organization's name, limits or rules",
        request=forms.OrganizationChange,
        answer=forms.Organization,
        errors=(412,),
        parameters=[IF_MATCH],
        example=ORG_EXAMPLE,
        request_example={"name": "Analytics"},
    )
    def patch(self, request: Request) -> Response:
        data = data_of(forms.OrganizationChange, request)
        match = match_of(request)
        org = services.update_org(org=self.org, by=self.principal, changes=data, match=match)
        return org_response(org)

    @operation(
        "org_delete",
        tag="organization",
        summary="Schedule the organization for deletion after a grace period",
        answer=forms.Organization,
        status=202,
        errors=(412,),
        parameters=[IF_MATCH],
        example={**ORG_EXAMPLE, "deletion_at": "2026-12-06T09:00:00Z"},
    )
    def delete(self, request: Request) -> Response:
        """From now on nothing in the organization can be changed or run. Everything can still be read and exported.

        An owner can cancel the deletion with `org_restore` until the time in the response.
        """
        match = match_of(request)
        return org_response(services.delete_org(org=self.org, by=self.principal, match=match), 202)


def org_response(org: Org, status: int = 200) -> Response:
    body = {name: getattr(org, name) for name in ORG_EXAMPLE}
    body["id"] = org.pk
    return Response(body, status=status, headers={"ETag": etag(version_of_time(org.updated_at))})


class OrgRestoration(OrgView):
    permissions = {"post": Permission.ORG_DELETE}
    session_methods = frozenset({"post"})
    methods_while_read_only = frozenset({"post"})

    @operation(
        "org_restore",
        tag="organization",
        summary="Cancel the organization's deletion",
        answer=forms.Organization,
        errors=(409,),
        example=ORG_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        return org_response(services.restore_org(org=self.org, by=self.principal))


class OwnershipTransfer(OrgView):
    permissions = {"post": Permission.ORG_TRANSFER}
    session_methods = frozenset({"post"})

    @operation(
        "org_transfer",
        tag="organization",
        summary="Transfer ownership to another member and become an admin",
        request=forms.Transfer,
        status=204,
        errors=(404,),
        request_example={"member_id": MEMBER_EXAMPLE["id"]},
    )
    def post(self, request: Request) -> Response:
        member_id = data_of(forms.Transfer, request)["member_id"]
        services.transfer_ownership(org=self.org, by=self.principal, member_id=member_id)
        return Response(status=204)


class Members(OrgView):
    @operation(
        "members_list",
        tag="members",
        summary="List the members of the organization",
        answer=MEMBER_PAGE,
        parameters=[*PAGE_PARAMETERS, order_of(MEMBER_ORDERS, "oldest")],
        example=page_example(MEMBER_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        rows = visibility.members(self.org).rows()
        return page(request, rows, orders=MEMBER_ORDERS, default="oldest", render=member_row)


class RenderedMember(TypedDict):
    id: UUID
    user_id: UUID
    email: str
    name: str
    kind: str
    role: str
    created_at: datetime


def member_row(row: MembershipColumns) -> RenderedMember:
    return {
        "id": row["id"],
        "user_id": row["user_id"],
        "email": row["user__email"],
        "name": row["user__name"],
        "kind": row["user__kind"],
        "role": row["role"],
        "created_at": row["created_at"],
    }


def member_response(member: Membership, status: int = 200) -> Response:
    rows = visibility.members(member.org).rows()
    return Response(member_row(rows.get(pk=member.pk)), status=status)


class Member(OrgView):
    permissions = {"patch": Permission.MEMBERS_MANAGE, "delete": Permission.MEMBERS_MANAGE}

    @operation(
        "members_update",
        tag="members",
        summary="Change a member's role",
        request=forms.RoleChange,
        answer=forms.Member,
        errors=(404, 409),
        example=MEMBER_EXAMPLE,
        request_example={"role": "admin"},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        data = data_of(forms.RoleChange, request)
        member = services.change_role(
            org=self.org, by=self.principal, member_id=pk, role=Role(data["role"])
        )
        return member_response(member)

    @operation(
        "members_remove",
        tag="members",
        summary="Remove a member; access and API keys end at once",
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.remove_member(org=self.org, by=self.principal, member_id=pk)
        return Response(status=204)


class MemberAccess(OrgView):
    @operation(
        "members_access",
        tag="members",
        summary="Show a member's permissions, with reasons",
        answer=forms.MemberAccess,
        parameters=[forms.AccessQuery],
        errors=(404,),
        example=ACCESS_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Answers questions like "why may this member run this pipeline?".

        The permissions apply to the objects of one domain, or to the objects without a domain.
        """
        domain_id = query_of(forms.AccessQuery, request).get("domain")
        access = visibility.explain_access(self.org, pk, domain_id)
        return Response(
            {"role": access.role, "role_here": access.role_here, "permissions": access.permissions}
        )


class OrgLeaving(OrgView):
    permissions = {"post": Permission.READ}
    session_methods = frozenset({"post"})
    methods_while_read_only = frozenset({"post"})

    @operation(
        "org_leave",
        tag="organization",
        summary="Leave the organization",
        status=204,
        errors=(409,),
    )
    def post(self, request: Request) -> Response:
        services.leave(org=self.org, by=self.principal)
        return Response(status=204)


class Domains(OrgView):
    permissions = {"post": Permission.DOMAINS_MANAGE}

    @operation(
        "domains_list",
        tag="domains",
        summary="List the organization's domains",
        answer=page_of(forms.DomainRow),
        parameters=[*PAGE_PARAMETERS, order_of(DOMAIN_ORDERS, "name")],
        example=page_example(DOMAIN_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        rows = visibility.domains(self.org).rows()
        return page(request, rows, orders=DOMAIN_ORDERS, default="name")

    @operation(
        "domains_create",
        tag="domains",
        summary="Create a domain",
        request=forms.DomainChange,
        answer=forms.DomainDetail,
        status=201,
        errors=(409,),
        example={**DOMAIN_EXAMPLE, "members": []},
        request_example={"name": "Marketing"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.DomainChange, request)
        domain = domains.create(org=self.org, by=self.principal, name=data["name"])
        return domain_response(domain, status=201)


def domain_response(domain: Domain, status: int = 200) -> Response:
    body = {
        "id": domain.pk,
        "name": domain.name,
        "created_at": domain.created_at,
        "updated_at": domain.updated_at,
        "members": visibility.domain_roles(domain),
    }
    return Response(body, status=status, headers={"ETag": etag(version_of_time(domain.updated_at))})


class OneDomain(OrgView):
    permissions = {"patch": Permission.DOMAINS_MANAGE, "delete": Permission.DOMAINS_MANAGE}

    @operation(
        "domains_get",
        tag="domains",
        summary="Show a domain and its domain roles",
        answer=forms.DomainDetail,
        errors=(404,),
        example=DOMAIN_DETAIL_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return domain_response(visibility.find_domain(self.org, pk))

    @operation(
        "domains_update",
        tag="domains",
        summary="Rename a domain",
        request=forms.DomainChange,
        answer=forms.DomainDetail,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
        example=DOMAIN_DETAIL_EXAMPLE,
        request_example={"name": "Growth"},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        data = data_of(forms.DomainChange, request)
        match = match_of(request)
        renamed = domains.rename(
            org=self.org, by=self.principal, domain_id=pk, name=data["name"], match=match
        )
        return domain_response(renamed)

    @operation(
        "domains_delete",
        tag="domains",
        summary="Delete a domain; its pipelines and connectors are kept, keys limited to it are deleted",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        match = match_of(request)
        domains.delete(org=self.org, by=self.principal, domain_id=pk, match=match)
        return Response(status=204)


class DomainMember(OrgView):
    permissions = {"put": Permission.DOMAINS_MANAGE, "delete": Permission.DOMAINS_MANAGE}

    @operation(
        "domains_members_set",
        tag="domains",
        summary="Grant a member a higher role in this domain",
        request=forms.DomainRoleChange,
        answer=forms.DomainMember,
        errors=(404,),
        example=DOMAIN_MEMBER_EXAMPLE,
        request_example={"role": "admin"},
    )
    def put(self, request: Request, pk: UUID, member_id: UUID) -> Response:
        data = data_of(forms.DomainRoleChange, request)
        domain_role = domains.set_role(
            org=self.org,
            by=self.principal,
            domain_id=pk,
            member_id=member_id,
            role=Role(data["role"]),
        )
        email = domain_role.membership.user.email
        return Response({"member_id": member_id, "email": email, "role": domain_role.role})

    @operation(
        "domains_members_clear",
        tag="domains",
        summary="Remove a domain role",
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, pk: UUID, member_id: UUID) -> Response:
        domains.clear_role(org=self.org, by=self.principal, domain_id=pk, member_id=member_id)
        return Response(status=204)
