"""Routes to register, to log in and out, to refresh a session, and to switch the org."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth import factors, sessions
from apps.auth.exceptions import SessionEnded
from apps.orgs.http.views import AccountView
from apps.orgs.sign_in import entry, own_account
from apps.orgs.sign_in import serializers as forms
from apps.orgs.sign_in.entry import Client, LoginResult
from apps.web.addresses import client_ip
from apps.web.origin import HEADER, HEADER_VALUE, refuse_cross_site
from apps.web.schema import header, operation
from apps.web.views import PublicView, data_of

REFRESH_COOKIE = "drover_refresh"
REFRESH_COOKIE_PATH = "/api/v1/auth/"

USER_EXAMPLE = {
    "id": "01936c5e-7d7a-7c3e-9a62-5a4f0d1c2b3a",
    "email": "ada@example.com",
    "name": "Ada",
    "email_verified": False,
    "has_password": True,
    "limited": False,
    "second_factor": False,
}
ORGANIZATION_EXAMPLE = {
    "id": "01936c5e-8d10-7b11-8f0e-2f6a4c5d6e7f",
    "name": "Analytics",
    "slug": "analytics-3f9a1c",
    "role": "owner",
}
PROFILE_EXAMPLE = {
    "user": USER_EXAMPLE,
    "organization": {
        **ORGANIZATION_EXAMPLE,
        "permissions": ["org.update", "pipelines.run", "read"],
        "domains": [],
        "suspended_at": None,
        "deletion_at": None,
        "closed": None,
    },
    "organizations": [ORGANIZATION_EXAMPLE],
    "version": "1.4.0",
}
LOGIN_EXAMPLE = {"access": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "expires_in": 600, **PROFILE_EXAMPLE}
PASSKEY_CHALLENGE_EXAMPLE = {
    "challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA",
    "options": {"publicKey": {"challenge": "c2lnbiB0aGlz", "rpId": "drover.example"}},
}
ORIGIN_HEADER = header(
    HEADER,
    "Always `drover`. A form on another site cannot send this header.",
    required=True,
    only_value=HEADER_VALUE,
)


class Register(PublicView):
    public_because = "Users have no credential before they register."

    @operation(
        "auth_register",
        tag="auth",
        summary="Register an account and an organization, or accept an invitation",
        request=forms.Registration,
        answer=forms.LoginResponse,
        status=201,
        errors=(403, 409, 410, 422, 423),
        other_responses={
            202: "The address must be verified first. A mail is sent, whether or not the address has an account"
        },
        example=LOGIN_EXAMPLE,
        request_example={
            "email": "ada@example.com",
            "password": "correct horse battery",
            "name": "Ada",
            "organization_name": "Analytics",
        },
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=False)
        data = data_of(forms.Registration, request)
        result = entry.register(**data, client=client_of(request))
        return login_response(result, status=201) if result else Response(status=202)


class Login(PublicView):
    public_because = "Used to log in, so there is no credential yet."

    @operation(
        "auth_login",
        tag="auth",
        summary="Log in",
        request=forms.Login,
        answer=forms.LoginResponse,
        errors=(401, 403, 404, 422),
        example=LOGIN_EXAMPLE,
        request_example={"email": "ada@example.com", "password": "correct horse battery"},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=False)
        data = data_of(forms.Login, request)
        result = entry.log_in(
            email=data["email"],
            password=data["password"],
            code=data.get("mfa_code"),
            org_id=data.get("org"),
            client=client_of(request),
        )
        return login_response(result)


class PasskeyBegin(PublicView):
    public_because = "Used to log in; the options are for any passkey."

    @operation(
        "auth_passkey_begin",
        tag="auth",
        summary="Get the browser's options for logging in with a passkey",
        answer=forms.PasskeyChallenge,
        errors=(403,),
        example=PASSKEY_CHALLENGE_EXAMPLE,
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=False)
        return Response(factors.begin_passkey_check(ip=ip_of(request)))


class PasskeyLogin(PublicView):
    public_because = "Used to log in, so there is no credential yet."

    @operation(
        "auth_passkey_login",
        tag="auth",
        summary="Log in with a passkey, which counts as both factors",
        request=forms.PasskeyLogin,
        answer=forms.LoginResponse,
        errors=(401, 403, 404, 422),
        example=LOGIN_EXAMPLE,
        request_example={"challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "credential": {}},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=False)
        data = data_of(forms.PasskeyLogin, request)
        result = entry.log_in_with_passkey(
            challenge=data["challenge"],
            credential=data["credential"],
            org_id=data.get("org"),
            client=client_of(request),
        )
        return login_response(result)


class Refresh(PublicView):
    public_because = "The refresh cookie is the credential; another site cannot send the header."

    @operation(
        "auth_refresh",
        tag="auth",
        summary="Get a new access token with the refresh cookie",
        request=forms.Refresh,
        answer=forms.LoginResponse,
        errors=(401, 403, 404, 422),
        parameters=[ORIGIN_HEADER],
        example=LOGIN_EXAMPLE,
        request_example={},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=True)
        data = data_of(forms.Refresh, request)
        token = request.COOKIES.get(REFRESH_COOKIE, "")
        result = entry.refresh(token=token, org_id=data.get("org"), client=client_of(request))
        if result is not None:
            return login_response(result)
        response = self.handle_exception(SessionEnded())
        response.delete_cookie(REFRESH_COOKIE, path=REFRESH_COOKIE_PATH, samesite="Strict")
        return response


class Logout(PublicView):
    public_because = "The refresh cookie is the credential; another site cannot send the header."

    @operation(
        "auth_logout",
        tag="auth",
        summary="End the session of the refresh cookie",
        status=204,
        errors=(403,),
        parameters=[ORIGIN_HEADER],
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=True)
        sessions.end_by_token(request.COOKIES.get(REFRESH_COOKIE, ""), reason="logout")
        response = Response(status=204)
        response.delete_cookie(REFRESH_COOKIE, path=REFRESH_COOKIE_PATH, samesite="Strict")
        return response


class Switch(AccountView):
    single_sign_on_methods = frozenset({"post"})

    @operation(
        "auth_switch",
        tag="auth",
        summary="Get an access token of the same session for another organization",
        request=forms.Switch,
        answer=forms.LoginResponse,
        errors=(404, 422),
        example=LOGIN_EXAMPLE,
        request_example={"org": ORGANIZATION_EXAMPLE["id"]},
        account=True,
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.Switch, request)
        return Response(own_account.switch_org(account=self.account, org_id=data["org"]))


def client_of(request: Request) -> Client:
    return Client(ip_of(request), request.headers.get("User-Agent", ""))


def ip_of(request: HttpRequest | Request) -> str | None:
    return client_ip(request._request if isinstance(request, Request) else request)


def login_response(result: LoginResult, status: int = 200) -> Response:
    response = Response(result.body, status=status)
    set_refresh_cookie(result.session, response)
    return response


def set_refresh_cookie(session: sessions.Session, response: HttpResponseBase) -> None:
    """Store a new refresh token in a cookie that scripts cannot read. Does nothing if there is no new token."""
    if session.refresh_token:
        response.set_cookie(
            REFRESH_COOKIE,
            session.refresh_token,
            max_age=settings.REFRESH_TOKEN_LIFETIME,
            path=REFRESH_COOKIE_PATH,
            secure=settings.BEHIND_TLS,
            httponly=True,
            samesite="Strict",
        )
