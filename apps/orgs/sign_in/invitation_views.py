"""Routes to show and accept an invitation, for users who have received its link."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from apps.orgs.http.views import AccountView
from apps.orgs.members import invitations
from apps.orgs.members import serializers as forms
from apps.orgs.sign_in import own_account
from apps.orgs.sign_in.serializers import LoginResponse
from apps.orgs.sign_in.views import LOGIN_EXAMPLE
from apps.web.origin import refuse_cross_site
from apps.web.schema import operation
from apps.web.views import PublicView, data_of

DETAILS_EXAMPLE = {
    "organization": "Analytics",
    "email": "grace@example.com",
    "role": "member",
    "invited_by": "ada@example.com",
    "expires_at": "2026-11-29T09:00:00Z",
    "single_sign_on": None,
}
TOKEN_EXAMPLE = {"token": "Q2hhbmdlIG1lIG9uY2UgdXNlZA"}


class InvitationDetails(PublicView):
    public_because = "The secret of the mailed link is the credential."

    @operation(
        "invitations_show",
        tag="members",
        summary="Show an invitation by its link",
        request=forms.InvitationToken,
        answer=forms.InvitationDetails,
        errors=(403, 410, 422),
        example=DETAILS_EXAMPLE,
        request_example=TOKEN_EXAMPLE,
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=False)
        details = invitations.load_details(data_of(forms.InvitationToken, request)["token"])
        return Response({name: getattr(details, name) for name in DETAILS_EXAMPLE})


class InvitationAcceptance(AccountView):
    @operation(
        "invitations_accept",
        tag="members",
        summary="Accept an invitation to your address, and get an access token for the organization",
        request=forms.InvitationToken,
        answer=LoginResponse,
        errors=(409, 410, 422, 423),
        example=LOGIN_EXAMPLE,
        request_example=TOKEN_EXAMPLE,
        account=True,
    )
    def post(self, request: Request) -> Response:
        token = data_of(forms.InvitationToken, request)["token"]
        return Response(own_account.accept_invitation(account=self.account, token=token))
