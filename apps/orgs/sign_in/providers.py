"""Identity providers: allauth's OAuth 2 and OpenID Connect, under our egress policy and without web sessions.

The installation's own (Google, GitHub, one issuer) come from the settings; an org's issuer from its row, as the
provider `org-<id>`. The state of a redirect is kept in a signed cookie for ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import requests
import structlog
from allauth.core import context
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.google.views import GoogleOAuth2Adapter
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter, OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.db import connection
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.auth import names
from apps.egress.exceptions import EgressError
from apps.egress.http import BodyTooLargeError, BodyTooSlowError, PolicySession, read_body
from apps.orgs import vault
from apps.orgs.models import IdentityProvider, Org
from apps.orgs.walls.scope import org_scope

logger = structlog.get_logger(__name__)

COOKIE = "drover_provider"
COOKIE_SECONDS = 600
ORG = "org-"
LARGEST_ANSWER = 1 << 20  # bytes
TIMEOUT = (5.0, 10.0)  # seconds to connect, and for a response


class ProviderFailed(Exception):
    """A provider cannot be used; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Identity:
    """A provider's claims about the user who returned from it. `state` is what we had stored in the browser."""

    provider: str
    subject: str
    email: str | None
    verified: bool
    name: str
    state: Mapping[str, Any]


class IdentityReceived(Exception):
    """Raised to stop allauth once an identity is known, because our own code does the rest."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity.provider)
        self.identity = identity


class Failed(Exception):
    """Raised to stop allauth where it would show its own page."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Adapter(DefaultSocialAccountAdapter):
    """The hooks of allauth.socialaccount."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return our providers, never allauth's own rows, whose secrets are not encrypted."""
        if provider is not None and (org_id := org_of(provider)):
            found = _app_of_org(org_id)
            return [found] if found else []
        return [app for name, app in installed().items() if provider in (None, name)]

    def get_requests_session(self) -> requests.Session:
        return _ProviderSession(allow_private=settings.ALLOW_PRIVATE_NETWORKS, timeout=TIMEOUT)

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        account = sociallogin.account
        if (
            account.pk
        ):  # Delete the claims that allauth has just stored, because they are not needed again.
            account.extra_data = {}
            account.save(update_fields=["extra_data"])
        address = next(iter(sociallogin.email_addresses), None)
        if address is not None and not names.is_plain_address(address.email.strip()):
            address = None
        raise IdentityReceived(
            Identity(
                provider=account.provider,
                subject=account.uid,
                email=address.email.strip().lower() if address else None,
                verified=bool(address and address.verified),
                name=_name(sociallogin),
                state=sociallogin.state.get("data") or {},
            )
        )

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Any = None,
        extra_context: Any = None,
    ) -> None:
        raise Failed("cancelled" if error == AuthError.CANCELLED else "provider_failed")


class _ProviderSession(PolicySession):
    """Limits the size of responses, and connects only to addresses that the egress policy allows."""

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["stream"] = True
        response = super().request(method, url, *args, **kwargs)
        body = read_body(response, limit=LARGEST_ANSWER, seconds=sum(TIMEOUT))
        response._content = body  # as `requests` does when it reads a body itself
        return response


class _Ours:
    """Uses our own callback URL, whatever Host header a request has."""

    provider_id: str

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_url(self.provider_id)


class _Google(_Ours, GoogleOAuth2Adapter):
    pass


class _GitHub(_Ours, GitHubOAuth2Adapter):
    pass


class _OpenID(_Ours, OpenIDConnectOAuth2Adapter):
    pass


class _CallbackView(OAuth2CallbackView):
    def _redirect_strict_samesite(self, request: HttpRequest, provider: Any) -> None:
        """Do not retry: our cookie is Lax, so a missing state stays missing."""


def installed() -> dict[str, SocialApp]:
    """Return the installation's providers, by name."""
    return {name: _app(name, **about) for name, about in settings.IDENTITY_PROVIDERS.items()}


def org_of(provider: str) -> UUID | None:
    """Return the org of this provider, if it is an org's."""
    if not provider.startswith(ORG):
        return None
    try:
        return UUID(provider.removeprefix(ORG))
    except ValueError:
        return None


def of_org(org_id: UUID) -> str:
    return f"{ORG}{org_id}"


def by_slug(slug: str) -> str | None:
    """Return the enabled provider of the org with this slug, if any.

    A SECURITY DEFINER function returns its id, because the org is not known yet.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_with_provider(%s)", [slug])
        (found,) = cursor.fetchone() or (None,)
    return of_org(found) if found else None


def callback_url(provider: str) -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/auth/{provider}/callback"


def begin(request: HttpRequest, provider: str, state: Mapping[str, Any]) -> HttpResponseBase:
    """Redirect to the provider. Raises ProviderFailed."""
    session = SessionStore()
    request.session = session
    with context.request_context(request), _translated():
        chosen = _provider(request, provider)
        adapter = _adapter(request, provider)
        chosen.oauth2_adapter_class = lambda *_, **__: adapter
        answer: HttpResponseBase = chosen.redirect(request, "login", None, dict(state))
    _keep(answer, str(request.session.session_key))
    return answer


def handle_callback(request: HttpRequest, provider: str) -> Identity:
    """Return the identity of the user who returned from the provider. Raises ProviderFailed."""
    if (
        request.GET.get("error") == "access_denied"
    ):  # The response has an error, with or without our state.
        raise ProviderFailed("cancelled")
    request.session = SessionStore(request.COOKIES.get(COOKIE))
    with context.request_context(request), _translated():
        view = _CallbackView()
        view.request, view.adapter = request, _adapter(request, provider)
        try:
            view.dispatch(request)
        except IdentityReceived as received:
            return received.identity
    raise ProviderFailed("provider_failed")


def forget(answer: HttpResponseBase) -> None:
    """Delete the state cookie."""
    answer.delete_cookie(COOKIE, path="/api/v1/auth/", samesite="Lax")


def look_up(issuer: str) -> dict[str, Any]:
    """Return the issuer's discovery document. Raises ProviderFailed."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    with _translated():
        answer = Adapter().get_requests_session().get(url)
        answer.raise_for_status()
        found = answer.json()
    if not isinstance(found, dict):
        raise ProviderFailed("provider_failed")
    return found


def _keep(answer: HttpResponseBase, state: str) -> None:
    """Set the state cookie as Lax, because the return is a navigation from another site."""
    answer.set_cookie(
        COOKIE,
        state,
        max_age=COOKIE_SECONDS,
        path="/api/v1/auth/",
        secure=settings.BEHIND_TLS,
        httponly=True,
        samesite="Lax",
    )


# Errors of `requests`, of our policy, and of allauth with invalid documents.
BROKEN = (
    requests.RequestException,
    EgressError,
    BodyTooLargeError,
    BodyTooSlowError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
)


@contextmanager
def _translated() -> Iterator[None]:
    """Convert all errors of a provider to one exception."""
    try:
        yield
    except Failed as error:
        raise ProviderFailed(error.code) from error
    except SocialApp.DoesNotExist as error:
        raise ProviderFailed("provider_unknown") from error
    except BROKEN as error:
        logger.warning("identity provider failed", error=str(error).partition("\n")[0])
        raise ProviderFailed("provider_failed") from error


def _provider(request: HttpRequest, provider: str) -> Any:
    return Adapter(request).get_provider(request, provider=provider)


def _adapter(request: HttpRequest, provider: str) -> OAuth2Adapter:
    if provider == "google":
        return _Google(request)
    if provider == "github":
        return _GitHub(request)
    return _OpenID(request, provider)


def _app_of_org(org_id: UUID) -> SocialApp | None:
    with org_scope(org_id):
        row = IdentityProvider.objects.for_org(org_id).filter(enabled=True).first()
        if row is None:
            return None
        secret = vault.unseal(Org.objects.get(pk=org_id), "identity_provider", row.pk, row.sealed)
        return _app(
            of_org(org_id),
            kind="openid_connect",
            label="single sign-on",
            client_id=row.client_id,
            secret=secret,
            issuer=row.issuer,
        )


def _app(
    name: str, *, kind: str, label: str, client_id: str, secret: str, issuer: str
) -> SocialApp:
    """Create allauth's model of an app, which is never saved."""
    return SocialApp(
        provider=kind,
        provider_id=name if kind == "openid_connect" else "",
        name=label,
        client_id=client_id,
        secret=secret,
        settings={"server_url": issuer, "oauth_pkce_enabled": True},
    )


def _name(sociallogin: SocialLogin) -> str:
    claims = sociallogin.account.extra_data
    for source in (claims.get("userinfo"), claims.get("id_token"), claims):
        if isinstance(source, dict) and isinstance(source.get("name"), str):
            return names.cleaned(source["name"], longest=120)
    return ""
