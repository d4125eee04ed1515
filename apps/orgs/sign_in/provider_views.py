"""Routes to log in through identity providers, and to manage an org's own issuer."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponseRedirect
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from apps.auth.exceptions import LinkSpent, TooManyAttempts
from apps.orgs.exceptions import InvitationForOtherAddress, LimitReached, NotFound, OrgReadOnly
from apps.orgs.http.views import AccountView, OrgView
from apps.orgs.models import IdentityProvider
from apps.orgs.roles import Permission
from apps.orgs.sign_in import entry, own_provider, providers, sso
from apps.orgs.sign_in import provider_serializers as forms
from apps.orgs.sign_in.entry import ProviderResult
from apps.orgs.sign_in.providers import ProviderFailed
from apps.orgs.sign_in.views import LOGIN_EXAMPLE, client_of, login_response, set_refresh_cookie
from apps.orgs.versions import version_of_settings
from apps.web.origin import refuse_cross_site
from apps.web.schema import IF_MATCH, operation
from apps.web.slow import SlowResponse
from apps.web.views import PublicView, data_of, etag, match_of, query_of

PROVIDERS_EXAMPLE = {"providers": [{"id": "google", "name": "Google"}]}
LINKS_EXAMPLE = {"links": [{"provider": "google", "linked_at": "2026-11-22T09:00:00Z"}]}
OWN_PROVIDER_EXAMPLE = {
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
DASHBOARD_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]{0,500}")


class Providers(PublicView):
    public_because = "The login page shows a button for each provider."

    @operation(
        "auth_providers",
        tag="auth",
        summary="List the identity providers of this installation",
        answer=forms.Providers,
        example=PROVIDERS_EXAMPLE,
        public=True,
    )
    def get(self, request: Request) -> Response:
        installed_providers = [
            {"id": name, "name": app.name} for name, app in providers.installed_providers().items()
        ]
        return Response({"providers": installed_providers})


class ProviderStart(PublicView):
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
        """For the provider `sso`, the parameter `org` names the organization whose own issuer is used. An error redirects
        to `/login?problem=CODE`.
        """
        parameters = query_of(forms.Start, request)
        state = {"next": safe_path(parameters["next"]), "invitation": parameters["invitation"]}
        try:
            chosen_provider = entry.choose_provider(
                provider=provider, org_slug=parameters["org"], client=client_of(request)
            )
            return providers.redirect_to_provider(request._request, chosen_provider, state)
        except ProviderFailed as failure:
            return redirect_to_problem(failure.code)


class ProviderCallback(PublicView):
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
            response = redirect_after_login(
                result, next_page=str(identity.state.get("next") or "/")
            )
        except (
            ProviderFailed,
            sso.SignInRefused,
            sso.LinkedToOtherAccount,
            OrgReadOnly,
        ) as failure:
            response = redirect_to_problem(failure.code)
        except LinkSpent:
            response = redirect_to_problem("link_spent")
        except InvitationForOtherAddress:
            response = redirect_to_problem("other_address")
        except LimitReached:
            response = redirect_to_problem("limit_reached")
        except TooManyAttempts:
            response = redirect_to_problem("too_many_attempts")
        providers.delete_state_cookie(response)
        return response


class LoginContinuation(PublicView):
    public_because = "Used to log in: the challenge represents the provider's confirmation."

    @operation(
        "auth_login_continue",
        tag="auth",
        summary="Complete a provider login with the second factor",
        request=forms.LoginContinuation,
        answer=forms.LoginResponse,
        errors=(401, 403, 404),
        example=LOGIN_EXAMPLE,
        request_example={"challenge": "Q2hhbmdlIG1lIG9uY2UgdXNlZA", "mfa_code": "123456"},
        public=True,
    )
    def post(self, request: Request) -> Response:
        refuse_cross_site(request, cookie_only=False)
        data = data_of(forms.LoginContinuation, request)
        login = entry.verify_second_factor(
            challenge=data["challenge"],
            code=data["mfa_code"],
            org_id=data.get("org"),
            client=client_of(request),
        )
        return login_response(login)


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
            redirect = providers.redirect_to_provider(request._request, provider, state)
        except ProviderFailed:
            raise NotFound from None
        response = Response({"location": redirect["Location"]})
        response.cookies = redirect.cookies
        return response


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
    """An org's own provider. Only owners can set it, because its issuer can impersonate any member of the org."""

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
        other_responses={204: "The organization has no identity provider."},
        example=OWN_PROVIDER_EXAMPLE,
    )
    def get(self, request: Request) -> Response:
        row = own_provider.find_provider(self.org)
        if row is None:
            return Response(status=204, headers={"ETag": etag(version_of_settings(None))})
        return self.respond(row)

    @operation(
        "identity_provider_put",
        tag="single sign-on",
        summary="Set the organization's own identity provider (OpenID Connect)",
        request=forms.OwnProviderChange,
        answer=forms.OwnProvider,
        errors=(412,),
        parameters=[IF_MATCH],
        example=OWN_PROVIDER_EXAMPLE,
        request_example={
            "issuer": "https://login.example.com",
            "client_id": "drover",
            "client_secret": "a secret of the issuer",
            "join_role": "viewer",
        },
    )
    def put(self, request: Request) -> Response:
        data = data_of(forms.OwnProviderChange, request)
        row = own_provider.save_provider(
            org=self.org, by=self.principal, fields=data, match=match_of(request)
        )
        return self.respond(row)

    @operation(
        "identity_provider_remove",
        tag="single sign-on",
        summary="Remove the organization's own identity provider",
        status=204,
        errors=(404, 409, 412),
        parameters=[IF_MATCH],
    )
    def delete(self, request: Request) -> Response:
        own_provider.remove_provider(org=self.org, by=self.principal, match=match_of(request))
        return Response(status=204)

    def respond(self, row: IdentityProvider) -> Response:
        start_url = f"{settings.PUBLIC_URL}/api/v1/auth/sso/start"
        body = {
            "issuer": row.issuer,
            "client_id": row.client_id,
            "client_secret": {"set": True, "last4": row.secret_last4},
            "join_role": row.join_role or None,
            "enabled": row.enabled,
            "callback_url": providers.callback_url(providers.provider_of_org(self.org.pk)),
            "start_url": f"{start_url}?{urlencode({'org': self.org.slug})}",
            "updated_at": row.updated_at,
        }
        return Response(body, headers={"ETag": etag(version_of_settings(row))})


class OwnProviderCheck(OrgView):
    permissions = {"post": Permission.OWNERS_MANAGE}

    @operation(
        "identity_provider_check",
        tag="single sign-on",
        summary="Check an issuer, with a result for each step",
        request=forms.IssuerCheck,
        answer=forms.IssuerCheckResult,
        example=STEPS_EXAMPLE,
        request_example={"issuer": "https://login.example.com"},
    )
    def post(self, request: Request) -> SlowResponse:
        issuer = data_of(forms.IssuerCheck, request)["issuer"]
        return SlowResponse(lambda: own_provider.check_issuer(issuer), then=Response)


def safe_path(path: str) -> str:
    """Return the path if it is a path of the dashboard, else an empty text. A full URL could lead to another site."""
    return path if DASHBOARD_PATH.fullmatch(path) else ""


def redirect_after_login(result: ProviderResult, *, next_page: str) -> HttpResponseBase:
    """Redirect a user who returned from a provider to the next page."""
    if result.challenge is not None:
        return redirect_to_page("/login", second_factor=result.challenge)
    if result.session is None:
        return redirect_to_page("/settings/account")
    data = {"next": next_page}
    if result.org_id is not None:
        data["org"] = str(result.org_id)
    response = redirect_to_page("/welcome", **data)
    set_refresh_cookie(result.session, response)
    return response


def redirect_to_page(path: str, **query: str) -> HttpResponseRedirect:
    """Redirect to a dashboard page. The query follows `#`, so that browsers do not send it to a server."""
    return HttpResponseRedirect(f"{path}#{urlencode(query)}" if query else path)


def redirect_to_problem(code: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"/login?{urlencode({'problem': code})}")
