"""Invitations over HTTP, for the members of the org. `apps.orgs.sign_in.invitation_views` is for the recipients."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import OrgView
from apps.orgs.members import invitations, visibility
from apps.orgs.members import serializers as forms
from apps.orgs.models import Invitation
from apps.orgs.queries import InvitationColumns
from apps.orgs.roles import Permission, Role
from apps.web.paging import Order, newest_first, page
from apps.web.schema import PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import data_of

INVITATION_EXAMPLE = {
    "id": "01936c64-6f70-7152-8a41-3d4e5f607182",
    "email": "grace@example.com",
    "role": "member",
    "invited_by": "ada@example.com",
    "created_at": "2026-11-22T09:00:00Z",
    "sent_at": "2026-11-22T09:00:01Z",
    "expires_at": "2026-11-29T09:00:00Z",
}
ORDERS = {"newest": newest_first(), "email": Order("email")}


def render_row(row: InvitationColumns) -> dict[str, object]:
    columns = {name: value for name, value in row.items() if name != "invited_by__email"}
    return {**columns, "invited_by": row["invited_by__email"]}


class InvitationView(OrgView):
    def respond(self, invitation: Invitation, status: int) -> Response:
        row = visibility.open_invitations(self.org).rows().get(pk=invitation.pk)
        return Response(render_row(row), status=status)


class Invitations(InvitationView):
    permissions = {"get": Permission.INVITATIONS_MANAGE, "post": Permission.INVITATIONS_MANAGE}

    @operation(
        "invitations_list",
        tag="members",
        summary="List pending invitations",
        answer=page_of(forms.InvitationRow),
        parameters=[*PAGE_PARAMETERS, order_of(ORDERS, "newest")],
        example={"results": [INVITATION_EXAMPLE], "next": None, "previous": None, "count": 1},
    )
    def get(self, request: Request) -> Response:
        rows = visibility.open_invitations(self.org).rows()
        return page(request, rows, orders=ORDERS, default="newest", render=render_row)

    @operation(
        "invitations_create",
        tag="members",
        summary="Invite an address by mail",
        request=forms.NewInvitation,
        answer=forms.InvitationRow,
        status=201,
        errors=(409,),
        example=INVITATION_EXAMPLE,
        request_example={"email": "grace@example.com", "role": "member"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.NewInvitation, request)
        invitation = invitations.invite(
            org=self.org, by=self.principal, email=data["email"], role=Role(data["role"])
        )
        return self.respond(invitation, 201)


class OneInvitation(InvitationView):
    permissions = {"delete": Permission.INVITATIONS_MANAGE}

    @operation(
        "invitations_withdraw",
        tag="members",
        summary="Withdraw an invitation: its link stops working",
        status=204,
        errors=(404,),
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        invitations.withdraw(org=self.org, by=self.principal, invitation_id=pk)
        return Response(status=204)


class InvitationResending(InvitationView):
    permissions = {"post": Permission.INVITATIONS_MANAGE}

    @operation(
        "invitations_resend",
        tag="members",
        summary="Resend an invitation, with a new link and expiry",
        answer=forms.InvitationRow,
        errors=(404,),
        example=INVITATION_EXAMPLE,
    )
    def post(self, request: Request, pk: UUID) -> Response:
        invitation = invitations.resend(org=self.org, by=self.principal, invitation_id=pk)
        return self.respond(invitation, 200)
