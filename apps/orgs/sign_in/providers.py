"""Identity providers: allauth's OAuth 2 and OpenID Connect, with our egress policy and without web sessions.

The settings contain the installation's own providers (Google, GitHub, one issuer). The provider `org-<id>` is an
org's own issuer, stored as an `IdentityProvider`. A signed cookie stores the state of a redirect for ten minutes.
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

STATE_COOKIE = "drover_provider"
STATE_COOKIE_SECONDS = 600
ORG_PREFIX = "org-"
MAX_RESPONSE_BYTES = 1 << 20
TIMEOUT = (5.0, 10.0)  # seconds to connect, and for a response


class ProviderFailed(Exception):
    """A request to a provider, or a login through it, failed. `code` is the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a user, as a provider reported it. `state` comes from the state cookie."""

    provider: str
    subject: str
    email: str | None
    verified: bool
    name: str
    state: Mapping[str, Any]


class IdentityReceived(Exception):
    """Raised in allauth when the identity is known, because our own code completes the login."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity.provider)
        self.identity = identity


class AllauthFailed(Exception):
    """Raised where allauth would show its own error page. `code` is the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Adapter(DefaultSocialAccountAdapter):
    """Settings of allauth.socialaccount: our providers, our HTTP client, and our code after a callback."""

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """Return our providers. Rows of allauth are not used, because their secrets are not encrypted."""
        if provider is not None and (org_id := org_id_of_provider(provider)):
            app = _app_of_org(org_id)
            return [app] if app else []
        return [app for name, app in installed_providers().items() if provider in (None, name)]

    def get_requests_session(self) -> requests.Session:
        return _ProviderSession(allow_private=settings.ALLOW_PRIVATE_NETWORKS, timeout=TIMEOUT)

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        account = sociallogin.account
        # Delete the data that allauth has just stored, because it is not needed again.
        if account.pk:
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
                name=_claimed_name(sociallogin),
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
        raise AllauthFailed("cancelled" if error == AuthError.CANCELLED else "provider_failed")


class _ProviderSession(PolicySession):
    """An HTTP client that limits the size of responses and connects only to addresses that the egress policy allows."""

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["stream"] = True
        response = super().request(method, url, *args, **kwargs)
        body = read_body(response, limit=MAX_RESPONSE_BYTES, seconds=sum(TIMEOUT))
        response._content = body  # as `requests` does when it reads a body itself
        return response


class _OwnCallbackUrl:
    """Makes an allauth adapter use our own callback URL, and not the Host header of a request."""

    provider_id: str

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_url(self.provider_id)


class _Google(_OwnCallbackUrl, GoogleOAuth2Adapter):
    pass


class _GitHub(_OwnCallbackUrl, GitHubOAuth2Adapter):
    pass


class _OpenID(_OwnCallbackUrl, OpenIDConnectOAuth2Adapter):
    pass


class _CallbackView(OAuth2CallbackView):
    def _redirect_strict_samesite(self, request: HttpRequest, provider: Any) -> None:
        """Do not repeat the request. Our cookie is Lax, so a missing state would be missing again."""


def installed_providers() -> dict[str, SocialApp]:
    """Return the installation's providers, by name."""
    return {
        name: _social_app(name, **settings_of_app)
        for name, settings_of_app in settings.IDENTITY_PROVIDERS.items()
    }


def org_id_of_provider(provider: str) -> UUID | None:
    """Return the id of the org whose own provider this is, or None."""
    if not provider.startswith(ORG_PREFIX):
        return None
    try:
        return UUID(provider.removeprefix(ORG_PREFIX))
    except ValueError:
        return None


def provider_of_org(org_id: UUID) -> str:
    return f"{ORG_PREFIX}{org_id}"


def provider_of_org_slug(slug: str) -> str | None:
    """Return the name of the enabled provider of the org with this slug, or None.

    A SECURITY DEFINER function returns the id of the org, because no org is in scope.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_with_provider(%s)", [slug])
        (org_id,) = cursor.fetchone() or (None,)
    return provider_of_org(org_id) if org_id else None


def callback_url(provider: str) -> str:
    return f"{settings.PUBLIC_URL}/api/v1/auth/{provider}/callback"


def redirect_to_provider(
    request: HttpRequest, provider: str, state: Mapping[str, Any]
) -> HttpResponseBase:
    """Redirect to the provider. Raises ProviderFailed."""
    session = SessionStore()
    request.session = session
    with context.request_context(request), _errors_as_provider_failed():
        allauth_provider = _get_allauth_provider(request, provider)
        adapter = _create_adapter(request, provider)
        allauth_provider.oauth2_adapter_class = lambda *_, **__: adapter
        response: HttpResponseBase = allauth_provider.redirect(request, "login", None, dict(state))
    _set_state_cookie(response, str(request.session.session_key))
    return response


def handle_callback(request: HttpRequest, provider: str) -> Identity:
    """Return the identity of the user who returned from the provider. Raises ProviderFailed."""
    # The user cancelled. Providers may then leave out the state.
    if request.GET.get("error") == "access_denied":
        raise ProviderFailed("cancelled")
    request.session = SessionStore(request.COOKIES.get(STATE_COOKIE))
    with context.request_context(request), _errors_as_provider_failed():
        view = _CallbackView()
        view.request, view.adapter = request, _create_adapter(request, provider)
        try:
            view.dispatch(request)
        except IdentityReceived as received:
            return received.identity
    raise ProviderFailed("provider_failed")


def delete_state_cookie(response: HttpResponseBase) -> None:
    response.delete_cookie(STATE_COOKIE, path="/api/v1/auth/", samesite="Lax")


def fetch_discovery_document(issuer: str) -> dict[str, Any]:
    """Return the issuer's discovery document. Raises ProviderFailed."""
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    with _errors_as_provider_failed():
        response = Adapter().get_requests_session().get(url)
        response.raise_for_status()
        document = response.json()
    if not isinstance(document, dict):
        raise ProviderFailed("provider_failed")
    return document


def _set_state_cookie(response: HttpResponseBase, state: str) -> None:
    """Set the state cookie. It is Lax, because the user returns by a navigation from another site."""
    response.set_cookie(
        STATE_COOKIE,
        state,
        max_age=STATE_COOKIE_SECONDS,
        path="/api/v1/auth/",
        secure=settings.BEHIND_TLS,
        httponly=True,
        samesite="Lax",
    )


# Errors of `requests`, of the egress policy, and of allauth when it reads invalid documents.
PROVIDER_ERRORS = (
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
def _errors_as_provider_failed() -> Iterator[None]:
    """Convert all errors of a provider to ProviderFailed."""
    try:
        yield
    except AllauthFailed as error:
        raise ProviderFailed(error.code) from error
    except SocialApp.DoesNotExist as error:
        raise ProviderFailed("provider_unknown") from error
    except PROVIDER_ERRORS as error:
        logger.warning("identity provider failed", error=str(error).partition("\n")[0])
        raise ProviderFailed("provider_failed") from error


def _get_allauth_provider(request: HttpRequest, provider: str) -> Any:
    return Adapter(request).get_provider(request, provider=provider)


def _create_adapter(request: HttpRequest, provider: str) -> OAuth2Adapter:
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
        return _social_app(
            provider_of_org(org_id),
            kind="openid_connect",
            label="single sign-on",
            client_id=row.client_id,
            secret=secret,
            issuer=row.issuer,
        )


def _social_app(
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


def _claimed_name(sociallogin: SocialLogin) -> str:
    claims = sociallogin.account.extra_data
    for source in (claims.get("userinfo"), claims.get("id_token"), claims):
        if isinstance(source, dict) and isinstance(source.get("name"), str):
            return names.clean_name(source["name"], max_length=120)
    return ""
