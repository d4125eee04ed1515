"""Register, log in, refresh, log out, switch: the routes under /auth that need identity and orgs both."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth import accounts, attempts, sessions, tickets, tokens
from apps.auth.addresses import client_ip
from apps.auth.exceptions import SessionEnded
from apps.orgs import sign_in
from apps.orgs import sign_in_serializers as forms
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Membership
from apps.orgs.roles import Permission
from config.api import OrgView, PublicView, data_of
from config.origin import HEADER, HEADER_VALUE, refuse_cross_site
from config.schema import header, operation
from config.slow import Slowly

COOKIE = "drover_refresh"
COOKIE_PATH = "/api/v1/auth/"

USER = {
    "id": "01936c5e-7d7a-7c3e-9a62-5a4f0d1c2b3a",
    "email": "ada@example.com",
    "name": "Ada",
    "email_verified": False,
}
ORGANIZATION = {
    "id": "01936c5e-8d10-7b11-8f0e-2f6a4c5d6e7f",
    "name": "Analytics",
    "slug": "analytics-3f9a1c",
    "role": "owner",
}
PROFILE = {
    "user": USER,
    "organization": {
        **ORGANIZATION,
        "permissions": ["org.update", "pipelines.run", "read"],
        "domains": [],
    },
    "organizations": [ORGANIZATION],
}
SIGNED_IN = {"access": "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "expires_in": 600, **PROFILE}
OUR_PAGE = header(
    HEADER,
    "Always `drover`: a form of another site cannot send it.",
    required=True,
    only=HEADER_VALUE,
)


class Register(PublicView):
    public_because = "Nobody has an account before making one."

    @operation(
        "auth_register",
        tag="auth",
        summary="Make an account and an organization",
        request=forms.Registration,
        answer=forms.SignedIn,
        status=201,
        errors=(403, 409, 422),
        example=SIGNED_IN,
        request_example={
            "email": "ada@example.com",
            "password": "correct horse battery",
            "name": "Ada",
            "organization_name": "Analytics",
        },
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie=False)
        data = data_of(forms.Registration, request)
        user, org = sign_in.register(**data, ip=client_ip(request))
        with transaction.atomic():
            session = _begin(request, user)
            return _signed_in(session, sign_in.answer(session, org.pk), status=201)


class Login(PublicView):
    public_because = "This is how a credential is got."

    @operation(
        "auth_login",
        tag="auth",
        summary="Log in",
        request=forms.Login,
        answer=forms.SignedIn,
        errors=(401, 403, 404, 422),
        example=SIGNED_IN,
        request_example={"email": "ada@example.com", "password": "correct horse battery"},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie=False)
        data = data_of(forms.Login, request)
        user = accounts.recognise(
            email=data["email"], password=data["password"], ip=client_ip(request)
        )
        with transaction.atomic():
            session = _begin(request, user)
            return _signed_in(session, sign_in.answer(session, data.get("org")))


class Refresh(PublicView):
    public_because = "The refresh cookie is the credential; another site cannot send the header."

    @operation(
        "auth_refresh",
        tag="auth",
        summary="A fresh access token for the refresh cookie",
        request=forms.Refresh,
        answer=forms.SignedIn,
        errors=(401, 403, 404, 422),
        parameters=[OUR_PAGE],
        example=SIGNED_IN,
        request_example={},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie=True)
        data = data_of(forms.Refresh, request)
        with transaction.atomic():
            session = sessions.refresh(request.COOKIES.get(COOKIE, ""))
            if session is not None:
                return _signed_in(session, sign_in.answer(session, data.get("org")))
        response = self.handle_exception(SessionEnded())
        response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Strict")
        return response


class Logout(PublicView):
    public_because = "The refresh cookie is the credential; another site cannot send the header."

    @operation(
        "auth_logout",
        tag="auth",
        summary="End the session of the refresh cookie",
        status=204,
        errors=(403,),
        parameters=[OUR_PAGE],
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie=True)
        sessions.end_by_token(request.COOKIES.get(COOKIE, ""), reason="logout")
        response = Response(status=204)
        response.delete_cookie(COOKIE, path=COOKIE_PATH, samesite="Strict")
        return response


class SelfView(OrgView):
    """What a logged-in person does for themselves; reading also works with an API key."""

    session_methods = frozenset({"post", "patch"})
    permissions = {"post": Permission.READ, "patch": Permission.READ}

    def session(self) -> sessions.Session:
        return sessions.Session(self.principal.require_session(), self.membership().user, None)

    def membership(self) -> Membership:
        mine = Membership.objects.for_org(self.org).select_related("org", "user")
        found: Membership = mine.get(pk=self.principal.membership_id)
        return found


class Switch(SelfView):
    @operation(
        "auth_switch",
        tag="auth",
        summary="An access token of the same session for another organization",
        request=forms.Switch,
        answer=forms.SignedIn,
        errors=(404, 422),
        example=SIGNED_IN,
        request_example={"org": ORGANIZATION["id"]},
    )
    def post(self, request: Request) -> Slowly:
        data = data_of(forms.Switch, request)
        session = self.session()
        # About another organization, so it is made when this one's scope is left.
        return Slowly(lambda: sign_in.answer(session, data["org"]), then=Response)


class StreamTicket(SelfView):
    @operation(
        "auth_stream_ticket",
        tag="auth",
        summary="A single-use pass of 30 s for EventSource, which cannot send headers",
        answer=forms.StreamTicketAnswer,
        status=201,
        example={"ticket": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "expires_in": 30},
    )
    def post(self, request: Request) -> Response:
        claims = tokens.Claims(
            user_id=self.principal.user_id,
            org_id=self.principal.org_id,
            session_id=self.principal.require_session(),
            token_version=self.membership().user.token_version,
        )
        expires_in = int(tickets.LIFETIME.total_seconds())
        return Response({"ticket": tickets.issue(claims), "expires_in": expires_in}, status=201)


class Me(SelfView):
    @operation(
        "auth_me",
        tag="auth",
        summary="Who this credential is, and where",
        answer=forms.Profile,
        example=PROFILE,
    )
    def get(self, request: Request) -> Response:
        return Response(self.profile())

    @operation(
        "auth_me_update",
        tag="auth",
        summary="Change one's own name",
        request=forms.ProfileChange,
        answer=forms.Profile,
        errors=(422,),
        example=PROFILE,
        request_example={"name": "Ada L."},
    )
    def patch(self, request: Request) -> Response:
        data = data_of(forms.ProfileChange, request)
        if "name" in data:
            accounts.rename(user_id=self.principal.user_id, name=data["name"])
        return Response(self.profile())

    def profile(self) -> dict[str, Any]:
        here = self.membership()
        if self.principal.session_id is None:  # a key knows its own organization only
            here.role = self.principal.role
            return sign_in.profile(here.user, here, [here], self.principal)
        mine = sign_in.memberships_of(here.user_id)
        return sign_in.profile(here.user, here, mine, self.principal)


class Password(SelfView):
    @operation(
        "auth_password_change",
        tag="auth",
        summary="Change one's own password; every other session ends",
        request=forms.PasswordChange,
        status=204,
        errors=(422,),
        request_example={"current_password": "correct horse battery", "new_password": "staple it"},
    )
    def post(self, request: Request) -> Response:
        data = data_of(forms.PasswordChange, request)
        user = self.membership().user
        tries = attempts.begin_login(user.email, self.principal.actor.ip)
        if not user.check_password(data["current_password"]):
            wrong = Invalid([("current_password", "This is not your password.", "invalid")])
            return self.handle_exception(wrong)  # returned, so that the try stays written down
        attempts.forgive(tries)
        faults = accounts.password_faults(data["new_password"], email=user.email, name=user.name)
        if faults:
            raise Invalid([("new_password", fault, "weak") for fault in faults])
        accounts.change_password(
            user=user, password=data["new_password"], keep_session=self.principal.require_session()
        )
        return Response(status=204)


def _begin(request: Request, user: Any) -> sessions.Session:
    agent = request.headers.get("User-Agent", "")
    return sessions.begin(user=user, ip=client_ip(request), user_agent=agent.replace("\0", ""))


def _signed_in(session: sessions.Session, body: dict[str, Any], status: int = 200) -> Response:
    response = Response(body, status=status)
    if session.refresh_token:
        response.set_cookie(
            COOKIE,
            session.refresh_token,
            max_age=settings.REFRESH_TOKEN_LIFETIME,
            path=COOKIE_PATH,
            secure=settings.BEHIND_TLS,
            httponly=True,
            samesite="Strict",
        )
    return response
