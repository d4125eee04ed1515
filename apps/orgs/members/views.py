"""The org itself, its members and its domains: parse, one domain call, render."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth.models import User
from apps.orgs.http.views import OrgView, one
from apps.orgs.members import serializers as forms
from apps.orgs.members import services
from apps.orgs.models import Domain, DomainRole, Membership, Org
from apps.orgs.roles import RANK, Permission, Role, explain
from apps.web.paging import Order, newest, oldest, page
from apps.web.schema import IF_MATCH, PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import data_of, etag, query_of, require_match

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
OVERRIDE_EXAMPLE = {
    "member_id": MEMBER_EXAMPLE["id"],
    "email": "ada@example.com",
    "role": "admin",
}
DOMAIN_DETAIL_EXAMPLE = {**DOMAIN_EXAMPLE, "members": [OVERRIDE_EXAMPLE]}
ACCESS_EXAMPLE = {
    "role": "viewer",
    "role_here": "admin",
    "permissions": [
        {
            "permission": "pipelines.run",
            "allowed": True,
            "because": "Raised from viewer to admin in Marketing.",
        }
    ],
}
MEMBER_PAGE = page_of(forms.Member)
MEMBER_ORDERS = {"oldest": oldest(), "newest": newest(), "email": Order("user__email")}
DOMAIN_ORDERS = {"name": Order("name"), "newest": newest()}


def page_example(row: dict[str, Any]) -> dict[str, Any]:
    return {"results": [row], "next": None, "previous": None, "count": 1}


def version(row: Org | Domain) -> str:
    """What an ETag names: the microsecond of the last change."""
    return f"{row.updated_at.timestamp():.6f}"


class Organization(OrgView):
    permissions = {"patch": Permission.ORG_UPDATE, "delete": Permission.ORG_DELETE}
    session_methods = frozenset({"delete"})
    always_methods = frozenset({"get", "head", "delete"})

    @operation(
        "org_get",
        tag="organization",
        summary="The organization of this credential",
        answer=forms.Organization,
        example=ORG_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        return org_answer(self.org)

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
        org = Org.objects.select_for_update().get(pk=self.org.pk)
        require_match(request, version(org))
        return org_answer(services.update_org(org=org, by=self.principal, changes=data))

    @operation(
        "org_delete",
        tag="organization",
        summary="Have the organization erased after a grace period",
        answer=forms.Organization,
        status=202,
        errors=(412,),
        parameters=[IF_MATCH],
        example={**ORG_EXAMPLE, "deletion_at": "2026-12-06T09:00:00Z"},
    )
    def delete(self, request: Request) -> Response:
        """From now on nothing can be changed or run there; everything can be read and exported. An owner can
        call it off with `org_restore` until the time the answer names."""
        org = Org.objects.select_for_update().get(pk=self.org.pk)
        require_match(request, version(org))
        grace = settings.ORG_DELETION_GRACE
        return org_answer(services.delete_org(org=org, by=self.principal, grace=grace), 202)


def org_answer(org: Org, status: int = 200) -> Response:
    body = {name: getattr(org, name) for name in ORG_EXAMPLE}
    body["id"] = org.pk
    return Response(body, status=status, headers={"ETag": etag(version(org))})


class Restoration(OrgView):
    permissions = {"post": Permission.ORG_DELETE}
    session_methods = frozenset({"post"})
    always_methods = frozenset({"post"})

    @operation(
        "org_restore",
        tag="organization",
        summary="Call the organization's deletion off",
        answer=forms.Organization,
        example=ORG_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        org = Org.objects.select_for_update().get(pk=self.org.pk)
        return org_answer(services.restore_org(org=org, by=self.principal))


class Transfer(OrgView):
    permissions = {"post": Permission.ORG_TRANSFER}
    session_methods = frozenset({"post"})

    @operation(
        "org_transfer",
        tag="organization",
        summary="Make another member an owner and oneself an admin",
        request=forms.Transfer,
        status=204,
        errors=(404,),
        request_example={"member_id": MEMBER_EXAMPLE["id"]},
    )
    def post(self, request: Request) -> Response:
        wanted = data_of(forms.Transfer, request)["member_id"]
        members = Membership.objects.for_org(self.org).select_related("user")
        people = members.filter(user__kind=User.Kind.PERSON)
        services.transfer(org=self.org, by=self.principal, member=one(people, wanted, lock=True))
        return Response(status=204)


class Members(OrgView):
    @operation(
        "members_list",
        tag="members",
        summary="Who belongs to the organization",
        answer=MEMBER_PAGE,
        parameters=[*PAGE_PARAMETERS, order_of(MEMBER_ORDERS, "oldest")],
        example=page_example(MEMBER_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        rows = Membership.objects.for_org(self.org).rows()
        return page(request, rows, orders=MEMBER_ORDERS, default="oldest", render=member_row)


def member_row(row: dict[str, Any]) -> dict[str, Any]:
    email, name, kind = row.pop("user__email"), row.pop("user__name"), row.pop("user__kind")
    return {**row, "email": email, "name": name, "kind": kind}


class Member(OrgView):
    permissions = {"patch": Permission.MEMBERS_MANAGE, "delete": Permission.MEMBERS_MANAGE}

    def member(self, pk: UUID) -> Membership:
        found: Membership = one(Membership.objects.for_org(self.org).select_related("user"), pk)
        return found

    @operation(
        "members_update",
        tag="members",
        summary="Give a member another role",
        request=forms.RoleChange,
        answer=forms.Member,
        errors=(404, 409),
        example=MEMBER_EXAMPLE,
        request_example={"role": "admin"},
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        data = data_of(forms.RoleChange, request)
        member = services.change_role(
            org=self.org, by=self.principal, member=self.member(pk), role=Role(data["role"])
        )
        return Response(member_row(Membership.objects.for_org(self.org).rows().get(pk=member.pk)))

    @operation(
        "members_remove",
        tag="members",
        summary="End a membership; access and API keys end at once",
        status=204,
        errors=(404, 409),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        services.remove_member(org=self.org, by=self.principal, member=self.member(pk))
        return Response(status=204)


class MemberAccess(OrgView):
    @operation(
        "members_access",
        tag="members",
        summary="What a member may do, and why",
        answer=forms.MemberAccess,
        parameters=[forms.AccessQuery],
        errors=(404,),
        example=ACCESS_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """For objects of a domain, or of none: "why may this member run this pipeline?"."""
        member = one(Membership.objects.for_org(self.org), pk)
        wanted = query_of(forms.AccessQuery, request).get("domain")
        domain = one(Domain.objects.for_org(self.org), wanted) if wanted else None
        overrides = DomainRole.objects.for_org(self.org).filter(domain=domain, membership=member)
        raised = overrides.values_list("role", flat=True).first() if domain else None
        role, higher = Role(member.role), Role(raised) if raised else None
        rows = []
        for permission in Permission:
            allowed, because = explain(
                permission, role=role, raised=higher, domain=domain.name if domain else ""
            )
            rows.append({"permission": permission, "allowed": allowed, "because": because})
        here = higher if higher and RANK[higher] > RANK[role] else role
        return Response({"role": role, "role_here": here, "permissions": rows})


class Leave(OrgView):
    permissions = {"post": Permission.READ}
    session_methods = frozenset({"post"})
    always_methods = frozenset({"post"})

    @operation(
        "org_leave",
        tag="organization",
        summary="End one's own membership",
        status=204,
        errors=(409,),
    )
    def post(self, request: Request) -> Response:
        mine = Membership.objects.for_org(self.org).select_related("user")
        member = mine.get(pk=self.principal.membership_id)
        services.leave(org=self.org, by=self.principal, member=member)
        return Response(status=204)


class Domains(OrgView):
    permissions = {"post": Permission.DOMAINS_MANAGE}

    @operation(
        "domains_list",
        tag="domains",
        summary="The organization's domains",
        answer=page_of(forms.DomainRow),
        parameters=[*PAGE_PARAMETERS, order_of(DOMAIN_ORDERS, "name")],
        example=page_example(DOMAIN_EXAMPLE),
    )
    def get(self, request: Request) -> Response:
        rows = Domain.objects.for_org(self.org).rows()
        return page(request, rows, orders=DOMAIN_ORDERS, default="name")

    @operation(
        "domains_create",
        tag="domains",
        summary="Make a domain",
        request=forms.DomainChange,
        answer=forms.DomainDetail,
        status=201,
        errors=(409,),
        example={**DOMAIN_EXAMPLE, "members": []},
        request_example={"name": "Marketing"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.DomainChange, request)
        domain = services.create_domain(org=self.org, by=self.principal, name=data["name"])
        return domain_answer(domain, status=201)


def domain_answer(domain: Domain, status: int = 200) -> Response:
    overrides = DomainRole.objects.for_org(domain.org_id).filter(domain=domain)
    body = {
        "id": domain.pk,
        "name": domain.name,
        "created_at": domain.created_at,
        "updated_at": domain.updated_at,
        "members": [
            {"member_id": member_id, "email": email, "role": role}
            for member_id, email, role in overrides.order_by("membership__user__email").values_list(
                "membership_id", "membership__user__email", "role"
            )
        ],
    }
    return Response(body, status=status, headers={"ETag": etag(version(domain))})


class DomainView(OrgView):
    def domain(self, pk: UUID, *, lock: bool = False) -> Domain:
        found: Domain = one(Domain.objects.for_org(self.org), pk, lock=lock)
        return found


class OneDomain(DomainView):
    permissions = {"patch": Permission.DOMAINS_MANAGE, "delete": Permission.DOMAINS_MANAGE}

    @operation(
        "domains_get",
        tag="domains",
        summary="A domain and whose role it raises",
        answer=forms.DomainDetail,
        errors=(404,),
        example=DOMAIN_DETAIL_EXAMPLE,
    )
    def get(self, request: Request, pk: UUID) -> Response:
        return domain_answer(self.domain(pk))

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
        domain = self.domain(pk, lock=True)
        require_match(request, version(domain))
        services.rename_domain(org=self.org, by=self.principal, domain=domain, name=data["name"])
        return domain_answer(domain)

    @operation(
        "domains_delete",
        tag="domains",
        summary="Delete a domain; its pipelines and connectors stay, keys limited to it go",
        status=204,
        errors=(404, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        domain = self.domain(pk, lock=True)
        require_match(request, version(domain))
        services.delete_domain(org=self.org, by=self.principal, domain=domain)
        return Response(status=204)


class DomainMember(DomainView):
    permissions = {"put": Permission.DOMAINS_MANAGE, "delete": Permission.DOMAINS_MANAGE}

    @operation(
        "domains_members_set",
        tag="domains",
        summary="Raise a member's role for the objects of this domain",
        request=forms.DomainRoleChange,
        answer=forms.DomainMember,
        errors=(404,),
        example=OVERRIDE_EXAMPLE,
        request_example={"role": "admin"},
    )
    def put(self, request: Request, pk: UUID, member_id: UUID) -> Response:
        data = data_of(forms.DomainRoleChange, request)
        domain = self.domain(pk)
        member = one(Membership.objects.for_org(self.org).select_related("user"), member_id)
        override = services.set_domain_role(
            org=self.org,
            by=self.principal,
            domain=domain,
            member=member,
            role=Role(data["role"]),
        )
        body = {"member_id": member.pk, "email": member.user.email, "role": override.role}
        return Response(body)

    @operation(
        "domains_members_clear",
        tag="domains",
        summary="Take a raised role back",
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, pk: UUID, member_id: UUID) -> Response:
        domain = self.domain(pk)
        overrides = DomainRole.objects.for_org(self.org).select_related("membership__user")
        mine = overrides.filter(domain=domain, membership_id=member_id)
        services.clear_domain_role(
            org=self.org, by=self.principal, domain=domain, override=found(mine)
        )
        return Response(status=204)


def found(queryset: Any) -> DomainRole:
    """The one row a filter by its natural key leaves, or NotFound."""
    override: DomainRole = one(queryset, queryset.values_list("pk", flat=True).first())
    return override
