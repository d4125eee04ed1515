"""Log in through identity providers, and manage an org's own issuer."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth.exceptions import LinkSpent, TooManyAttempts
from apps.orgs.exceptions import LimitReached, NotFound, OrgReadOnly, OtherAddress
from apps.orgs.http.views import AccountView, OrgView
from apps.orgs.models import IdentityProvider
from apps.orgs.roles import Permission
from apps.orgs.sign_in import entry, own_provider, providers, sso
from apps.orgs.sign_in import provider_serializers as forms
from apps.orgs.sign_in.entry import ProviderResult
from apps.orgs.sign_in.providers import ProviderFailed
from apps.orgs.sign_in.views import SIGNED_IN, client_of, keep, signed_in
from apps.orgs.versions import of_time
from apps.web.origin import refuse_cross_site
from apps.web.schema import IF_MATCH, operation
from apps.web.slow import SlowResponse
from apps.web.views import PublicView, data_of, etag, match_of, query_of

PROVIDERS_EXAMPLE = {"providers": [{"id": "google", "name": "Google"}]}
LINKS_EXAMPLE = {"links": [{"provider": "google", "linked_at": "2026-11-22T09:00:00Z"}]}
OWN_EXAMPLE = {
    "issuer": "https://login.example.com",
    "client_id": "drover",
    "client_secret": {"set": True, "last4": "3f9a"},
    "join_role": "viewer",
    "enabled": True,
    "callback_url": "https://drover.example.com/api/v1/auth/org-01936c5e-8d10-7b11-8f0e-2f6a4c5d6e7f/callback",
    "start_url": "https://drover.example.com/api/v1/auth/sso/start?org=analytics-3f9a1c",
    "updated_at": "2026-11-22T09:00:00Z",
}
STEPS_EXAMPLE = {"ok": True, "steps": [{"step": "discovery", "ok": True, "message": "Found."}]}
OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]{0,500}")


class Providers(PublicView):
    public_because = "The login page shows a button for each."

    @operation(
        "auth_providers",
        tag="auth",
        summary="List the identity providers of this installation",
        answer=forms.Providers,
        example=PROVIDERS_EXAMPLE,
        public=True,
    )
    def get(self, request: Request) -> Response:
        found = [{"id": name, "name": app.name} for name, app in providers.installed().items()]
        return Response({"providers": found})


class Start(PublicView):
    public_because = "Used to log in; the response redirects to the provider."

    @operation(
        "auth_provider_start",
        tag="auth",
        summary="Redirect the browser to an identity provider",
        parameters=[forms.Start],
        status=302,
        errors=(404,),
        public=True,
    )
    def get(self, request: Request, provider: str) -> HttpResponseBase:
        """`sso` with `org` redirects to that organization's own issuer. Errors are shown at /login?problem=."""
        wanted = query_of(forms.Start, request)
        state = {"next": own_path(wanted["next"]), "invitation": wanted["invitation"]}
        try:
            chosen = entry.choose_provider(
                named=provider, org_slug=wanted["org"], client=client_of(request)
            )
            return providers.begin(request._request, chosen, state)
        except ProviderFailed as failure:
            return problem_page(failure.code)


class Callback(PublicView):
    public_because = "The provider redirects here; the state cookie and the provider's response are the credential."

    @operation(
        "auth_provider_callback",
        tag="auth",
        summary="Callback URL of identity providers",
        status=302,
        errors=(404,),
        public=True,
    )
    def get(self, request: Request, provider: str) -> HttpResponseBase:
        try:
            identity = providers.handle_callback(request._request, provider)
            result = entry.finish_provider_login(identity=identity, client=client_of(request))
            answer = page_after(result, next_page=str(identity.state.get("next") or "/"))
        except (ProviderFailed, sso.SignInRefused, sso.LinkedElsewhere, OrgReadOnly) as failure:
            answer = problem_page(failure.code)
        except LinkSpent:
            answer = problem_page("link_spent")
        except OtherAddress:
            answer = problem_page("other_address")
        except LimitReached:
            answer = problem_page("limit_reached")
        except TooManyAttempts:
            answer = problem_page("too_many_attempts")
        providers.forget(answer)
        return answer


class GoOn(PublicView):
    public_because = "Used to log in: the challenge represents the provider's confirmation."

    @operation(
        "auth_login_continue",
        tag="auth",
        summary="Complete a provider login with the second factor",
        request=forms.GoOn,
        answer=forms.SignedIn,
        errors=(401, 403, 404),
        example=SIGNED_IN,
        request_example={"challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "mfa_code": "123456"},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie=False)
        data = data_of(forms.GoOn, request)
        entered = entry.show_second_factor(
            challenge=data["challenge"],
            code=data["mfa_code"],
            org_id=data.get("org"),
            client=client_of(request),
        )
        return signed_in(entered)


class Links(AccountView):
    @operation(
        "auth_links_list",
        tag="auth",
        summary="List the providers linked to your account",
        answer=forms.Links,
        example=LINKS_EXAMPLE,
        account=True,
    )
    def get(self, request: Request) -> Response:
        return Response({"links": sso.links_of(self.account.user)})


class OneLink(AccountView):
    @operation(
        "auth_links_add",
        tag="auth",
        summary="Start linking a provider to your account",
        request=forms.Reauthentication,
        answer=forms.Location,
        errors=(404,),
        example={"location": "https://accounts.google.com/o/oauth2/v2/auth?client_id=drover"},
        request_example={"current_password": "correct horse battery"},
        account=True,
    )
    def post(self, request: Request, provider: str) -> Response:
        password = data_of(forms.Reauthentication, request)["current_password"]
        state = sso.begin_link(account=self.account, password=password, provider=provider)
        try:
            leading = providers.begin(request._request, provider, state)
        except ProviderFailed:
            raise NotFound from None
        answer = Response({"location": leading["Location"]})
        answer.cookies = leading.cookies
        return answer


class LinkRemoval(AccountView):
    @operation(
        "auth_links_remove",
        tag="auth",
        summary="Unlink a provider",
        request=forms.Reauthentication,
        status=204,
        errors=(404, 409),
        request_example={"current_password": "correct horse battery"},
        account=True,
    )
    def post(self, request: Request, provider: str) -> Response:
        password = data_of(forms.Reauthentication, request)["current_password"]
        sso.unlink(account=self.account, password=password, provider=provider)
        return Response(status=204)


class OwnProvider(OrgView):
    """Only for owners: whoever chooses the issuer can impersonate any member of the org."""

    permissions = {
        "get": Permission.SETTINGS_EDIT,
        "put": Permission.OWNERS_MANAGE,
        "delete": Permission.OWNERS_MANAGE,
    }
    session_methods = frozenset({"put", "delete"})

    @operation(
        "identity_provider_get",
        tag="single sign-on",
        summary="Show the organization's own identity provider",
        answer=forms.OwnProvider,
        also={204: "The organization has no identity provider."},
        example=OWN_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        row = own_provider.of(self.org)
        return self.answer(row) if row else Response(status=204)

    @operation(
        "identity_provider_put",
        tag="single sign-on",
        summary="Set the organization's own identity provider (OpenID Connect)",
        request=forms.OwnProviderChange,
        answer=forms.OwnProvider,
        example=OWN_EXAMPLE,
        request_example={
            "issuer": "https://login.example.com",
            "client_id": "drover",
            "client_secret": "a secret of the issuer",
            "join_role": "viewer",
        },
    )
    def put(self, request: Request) -> Response:
        data = data_of(forms.OwnProviderChange, request)
        return self.answer(own_provider.save(org=self.org, by=self.principal, fields=data))

    @operation(
        "identity_provider_remove",
        tag="single sign-on",
        summary="Remove the organization's own identity provider",
        status=204,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request) -> Response:
        own_provider.remove(org=self.org, by=self.principal, match=match_of(request))
        return Response(status=204)

    def answer(self, row: IdentityProvider) -> Response:
        start = f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/auth/sso/start"
        body = {
            "issuer": row.issuer,
            "client_id": row.client_id,
            "client_secret": {"set": True, "last4": row.secret_last4},
            "join_role": row.join_role or None,
            "enabled": row.enabled,
            "callback_url": providers.callback_url(providers.of_org(self.org.pk)),
            "start_url": f"{start}?{urlencode({'org': self.org.slug})}",
            "updated_at": row.updated_at,
        }
        return Response(body, headers={"ETag": etag(of_time(row.updated_at))})


class OwnProviderCheck(OrgView):
    permissions = {"post": Permission.OWNERS_MANAGE}

    @operation(
        "identity_provider_check",
        tag="single sign-on",
        summary="Check an issuer, in named steps",
        request=forms.IssuerCheck,
        answer=forms.Checked,
        example=STEPS_EXAMPLE,
        request_example={"issuer": "https://login.example.com"},
    )
    def post(self, request: Request) -> SlowResponse:
        issuer = data_of(forms.IssuerCheck, request)["issuer"]
        return SlowResponse(lambda: own_provider.check(issuer), then=Response)


def own_path(path: str) -> str:
    """Accept only a path of our own pages: with a full URL, a link could send users elsewhere."""
    return path if OWN_PATH.fullmatch(path) else ""


def page_after(result: ProviderResult, *, next_page: str) -> HttpResponseBase:
    """Return the page for a user who returned from a provider."""
    if result.challenge is not None:
        return page("/login", second_factor=result.challenge)
    if result.session is None:
        return page("/settings/account")
    where = {"next": next_page}
    if result.org_id is not None:
        where["org"] = str(result.org_id)
    answer = page("/welcome", **where)
    keep(result.session, answer)
    return answer


def page(path: str, **query: str) -> HttpResponseRedirect:
    """Return the URL of a dashboard page. Its data follows `#`, so that no server or log sees it."""
    return HttpResponseRedirect(f"{path}#{urlencode(query)}" if query else path)


def problem_page(code: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"/login?{urlencode({'problem': code})}")
