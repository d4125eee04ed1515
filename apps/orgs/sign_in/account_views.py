"""Routes about the user's own account: profile, password, e-mail address, sessions, and new organizations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth import accounts, sessions
from apps.orgs import credentials
from apps.orgs.exceptions import NotFound
from apps.orgs.http.views import AccountView
from apps.orgs.sign_in import own_account, responses
from apps.orgs.sign_in import serializers as forms
from apps.orgs.sign_in.views import LOGIN_EXAMPLE, PROFILE_EXAMPLE, ip_of
from apps.web.origin import refuse_cross_site
from apps.web.paging import newest_first, page
from apps.web.schema import PAGE_PARAMETERS, operation, order_of, page_of
from apps.web.views import PublicView, data_of, query_of

SESSION_EXAMPLE = {
    "id": "01936c5e-7d7a-7c3e-9a62-5a4f0d1c2b3a",
    "current": True,
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0",
    "ip": "192.0.2.7",
    "method": "password",
    "second_factor": False,
    "created_at": "2026-11-22T09:00:00Z",
    "last_used_at": "2026-11-22T09:00:00Z",
}
SESSION_ORDERS = {"recent": newest_first("last_used_at")}


class Me(AccountView):
    single_sign_on_methods = frozenset({"get"})

    @operation(
        "auth_me",
        tag="auth",
        summary="Show the user, organization and permissions of this credential",
        answer=forms.Profile,
        example=PROFILE_EXAMPLE,
        account=True,
    )
    def get(self, request: Request) -> Response:
        return Response(responses.profile_of(self.account))

    @operation(
        "auth_me_update",
        tag="auth",
        summary="Change your name",
        request=forms.ProfileChange,
        answer=forms.Profile,
        errors=(422,),
        example=PROFILE_EXAMPLE,
        request_example={"name": "Ada L."},
        account=True,
    )
    def patch(self, request: Request) -> Response:
        data = data_of(forms.ProfileChange, request)
        if "name" in data:
            accounts.rename(user=self.account.user, name=data["name"])
        return Response(responses.profile_of(self.account))

    def respond_to_key(self, request: Request, credential: credentials.KeyCredential) -> Response:
        """Return the response to an API key. It contains only the organization of the key."""
        if request.method != "GET":
            return super().respond_to_key(request, credential)
        return Response(responses.profile_of_key(credential))


class Password(AccountView):
    @operation(
        "auth_password_change",
        tag="auth",
        summary="Change your password; every other session ends",
        request=forms.PasswordChange,
        status=204,
        errors=(422,),
        request_example={"current_password": "correct horse battery", "new_password": "staple it"},
        account=True,
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.PasswordChange, request)
        own_account.change_password(
            account=self.account,
            current_password=data["current_password"],
            new_password=data["new_password"],
        )
        return Response(status=204)


class ForgottenPassword(PublicView):
    public_because = "A user who forgot the password has no credential."

    @operation(
        "auth_password_forgot",
        tag="auth",
        summary="Mail a link that sets a new password, if the address has an account",
        request=forms.ForgottenPassword,
        status=202,
        errors=(403, 422),
        request_example={"email": "ada@example.com"},
        public=True,
    )
    def post(self, request: Request) -> Response:
        """The response, and its timing, are the same whether or not such an account exists."""
        refuse_cross_site(request, cookie_only=False)
        data = data_of(forms.ForgottenPassword, request)
        accounts.request_password_reset(data["email"], ip_of(request))
        return Response(status=202)


class PasswordReset(PublicView):
    public_because = "The secret of the mailed link is the credential."

    @operation(
        "auth_password_reset",
        tag="auth",
        summary="Set a new password with a mailed link; every session ends",
        request=forms.PasswordReset,
        status=204,
        errors=(403, 410, 422),
        request_example={"token": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "password": "staple it well"},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=False)
        data = data_of(forms.PasswordReset, request)
        accounts.reset_password(token=data["token"], password=data["password"], ip=ip_of(request))
        return Response(status=204)


class EmailConfirmation(PublicView):
    public_because = "The secret of the mailed link is the credential."

    @operation(
        "auth_email_verify",
        tag="auth",
        summary="Verify an address with a mailed link",
        request=forms.EmailToken,
        status=204,
        errors=(403, 410, 422),
        request_example={"token": "Q2hhbmdlIG1lIG9uY2UgdXNlZA"},
        public=True,
    )
    def post(self, request: Request) -> Response:
        """If the link was for a new address, it replaces the old address, and every session ends."""
        refuse_cross_site(request, cookie_only=False)
        own_account.verify_email(data_of(forms.EmailToken, request)["token"])
        return Response(status=204)


class VerificationMail(AccountView):
    @operation(
        "auth_email_send",
        tag="auth",
        summary="Resend the mail that verifies your address",
        status=202,
        account=True,
    )
    def post(self, request: Request) -> Response:
        accounts.resend_verification(user=self.account.user, ip=self.account.ip)
        return Response(status=202)


class EmailChange(AccountView):
    @operation(
        "auth_email_change",
        tag="auth",
        summary="Request a new e-mail address; it replaces the old one when the link in the mail is opened",
        request=forms.EmailChange,
        status=202,
        errors=(422,),
        request_example={"email": "ada@example.org", "current_password": "correct horse battery"},
        account=True,
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.EmailChange, request)
        own_account.request_email_change(
            account=self.account, password=data["current_password"], email=data["email"]
        )
        return Response(status=202)


class Sessions(AccountView):
    @operation(
        "auth_sessions_list",
        tag="auth",
        summary="List your sessions",
        answer=page_of(forms.SessionRow),
        parameters=[*PAGE_PARAMETERS, order_of(SESSION_ORDERS, "recent")],
        example={"results": [SESSION_EXAMPLE], "next": None, "previous": None, "count": 1},
        account=True,
    )
    def get(self, request: Request) -> Response:
        rows: Any = sessions.active_sessions(self.account.user.pk).values(
            "id", "user_agent", "ip", "method", "second_factor_at", "created_at", "last_used_at"
        )
        return page(
            request, rows, orders=SESSION_ORDERS, default="recent", render=self.render_session
        )

    @operation(
        "auth_sessions_end_all",
        tag="auth",
        summary="End all your other sessions, or all your sessions",
        parameters=[forms.SessionsEnd],
        status=204,
        account=True,
    )
    def delete(self, request: Request) -> Response:
        options = query_of(forms.SessionsEnd, request)
        keep_session = None if options["current"] else self.account.session.pk
        sessions.end_all(
            self.account.user.pk, reason="logged out everywhere", keep_session=keep_session
        )
        return Response(status=204)

    def render_session(self, row: dict[str, Any]) -> dict[str, Any]:
        has_second_factor = row.pop("second_factor_at") is not None
        return {
            **row,
            "second_factor": has_second_factor,
            "current": row["id"] == self.account.session.pk,
        }


class OneSession(AccountView):
    @operation(
        "auth_sessions_end",
        tag="auth",
        summary="End one of your sessions at once",
        status=204,
        errors=(404,),
        account=True,
    )
    def delete(self, request: Request, pk: UUID) -> Response:
        if not sessions.end_own_session(self.account.user.pk, pk):
            raise NotFound
        return Response(status=204)


class Organizations(AccountView):
    @operation(
        "organizations_create",
        tag="organization",
        summary="Create another organization, and get an access token for it",
        request=forms.NewOrganization,
        answer=forms.LoginResponse,
        status=201,
        example=LOGIN_EXAMPLE,
        request_example={"name": "Analytics"},
        account=True,
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.NewOrganization, request)
        body = own_account.create_org(account=self.account, name=data["name"])
        return Response(body, status=201)
