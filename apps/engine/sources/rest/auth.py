"""Authentication of the REST source: its settings, and what adds the credentials to requests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from requests.auth import AuthBase, HTTPBasicAuth

from apps.engine.failures import AuthenticationError, ConfigurationError
from apps.engine.sources.connector import Secret, SourceSettings
from apps.engine.sources.http.responses import CompleteResponse, RetryingClient, TokenRefused

HEADER_NAME_PATTERN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
ONE_LINE_PATTERN = r"^[^\x00-\x1f\x7f]*$"
RENEW_SECONDS = 60  # before an access token expires
USUAL_LIFETIME = 300  # seconds of an access token whose lifetime is not told


class NoAuth(SourceSettings):
    """No authentication."""

    type: Literal["none"]


class ApiKeyAuth(SourceSettings):
    """A key in a header or in the query."""

    type: Literal["api_key"]
    name: str = Field(
        pattern=HEADER_NAME_PATTERN,
        max_length=200,
        description="Header or parameter name",
        examples=["X-Api-Key"],
    )
    key: str = Secret("The key", min_length=1, max_length=10_000, pattern=ONE_LINE_PATTERN)
    location: Literal["header", "query"] = Field("header", description="Where to send the key")


class BearerAuth(SourceSettings):
    """A token in the `Authorization` header."""

    type: Literal["bearer"]
    token: str = Secret("The token", min_length=1, max_length=10_000, pattern=ONE_LINE_PATTERN)


class BasicAuth(SourceSettings):
    """User name and password."""

    type: Literal["basic"]
    username: str = Field(
        max_length=1000, description="The account of the API, often an e-mail address or a key"
    )
    password: str = Secret("Password", default="", max_length=1000)


class OAuth(SourceSettings):
    """What both ways to get an access token have."""

    access_token_url: str = Field(
        max_length=2000,
        pattern=r"^https?://",
        description="URL that returns access tokens",
        examples=["https://login.example.com/oauth/token"],
    )
    client_id: str = Field(min_length=1, max_length=1000, description="Client id of your app")
    client_secret: str = Secret("Client secret of your app", default="", max_length=10_000)
    client_location: Literal["body", "header"] = Field(
        "body",
        description="Where to send the client id and secret: in the form, or as basic authentication",
    )
    scope: str = Field("", max_length=2000, description="Scopes to request, separated by spaces")
    access_token_params: dict[str, str] = Field(
        default_factory=dict,
        description="Additional fields of the token request, such as `audience`",
    )

    @field_validator("access_token_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if not parts.hostname:
            raise ValueError("has no host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("contains credentials")
        return value

    def grant(self) -> dict[str, str]:
        """Return the fields of the token request by which it asks for a token (RFC 6749)."""
        raise NotImplementedError


class ClientCredentialsAuth(OAuth):
    """OAuth 2.0 with the credentials of an app (RFC 6749, section 4.4)."""

    type: Literal["oauth2_client_credentials"]

    def grant(self) -> dict[str, str]:
        return {"grant_type": "client_credentials"}


class RefreshTokenAuth(OAuth):
    """OAuth 2.0 with a refresh token (RFC 6749, section 6)."""

    type: Literal["oauth2_refresh_token"]
    refresh_token: str = Secret("The refresh token", min_length=1, max_length=10_000)

    def grant(self) -> dict[str, str]:
        return {"grant_type": "refresh_token", "refresh_token": self.refresh_token}


Auth = Annotated[
    NoAuth | ApiKeyAuth | BearerAuth | BasicAuth | ClientCredentialsAuth | RefreshTokenAuth,
    Field(discriminator="type"),
]


def make_authenticator(auth: Auth, client: Callable[[], RetryingClient]) -> AuthBase | None:
    """Return what adds the credentials to a request. `client` sends the requests for access tokens."""
    match auth:
        case BasicAuth():
            return HTTPBasicAuth(auth.username.encode(), auth.password.encode())
        case BearerAuth():
            return HeaderAuth("Authorization", f"Bearer {auth.token}")
        case ApiKeyAuth() if auth.location == "header":
            return HeaderAuth(auth.name, auth.key)
        case ClientCredentialsAuth() | RefreshTokenAuth():
            return AccessTokenAuth(auth, client)
    return None


class HeaderAuth(AuthBase):
    """Adds a credential as a header."""

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def __call__(self, request: Any) -> Any:
        request.headers[self._name] = self._value.encode("utf-8")
        return request


class AccessTokenAuth(AuthBase):
    """Adds an access token, which is requested when it is first needed, and again a minute before it expires."""

    def __init__(
        self, auth: ClientCredentialsAuth | RefreshTokenAuth, client: Callable[[], RetryingClient]
    ) -> None:
        self._auth = auth
        self._client = client
        self._token = ""
        self._renew_at = 0.0

    def __call__(self, request: Any) -> Any:
        if not self._token or time.monotonic() >= self._renew_at:
            self._renew()
        request.headers["Authorization"] = f"Bearer {self._token}".encode()
        return request

    def drop_token(self) -> bool:
        """Forget the access token, so that the next request asks for a new one. Return whether there was one."""
        had_token = bool(self._token)
        self._token = ""
        return had_token

    def _renew(self) -> None:
        auth = self._auth
        form = {**auth.grant(), **auth.access_token_params}
        if auth.scope:
            form["scope"] = auth.scope
        basic = None
        if auth.client_location == "header":
            basic = HTTPBasicAuth(auth.client_id.encode(), auth.client_secret.encode())
        else:
            form |= {"client_id": auth.client_id, "client_secret": auth.client_secret}
        try:
            answer = self._client().request(
                _token_answer, "POST", auth.access_token_url, data=form, auth=basic
            )
        except (ConfigurationError, TokenRefused) as error:
            # RFC 6749 answers wrong credentials with 400 or 401.
            raise AuthenticationError(
                "no access token was issued for these credentials", evidence=error.evidence
            ) from error
        self._token = str(answer["access_token"])
        lifetime = float(answer.get("expires_in") or USUAL_LIFETIME)
        self._renew_at = time.monotonic() + max(lifetime - RENEW_SECONDS, 1.0)


def _token_answer(response: CompleteResponse) -> dict[str, Any]:
    """Return the parsed answer. The evidence has no body, because a body may have a token."""
    evidence = (response.request_line, response.status_line)
    try:
        answer = json.loads(response.body)
    except ValueError:
        answer = None
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token.isprintable():
        raise AuthenticationError("the answer has no access_token", evidence=evidence)
    lifetime = answer.get("expires_in")
    is_number = isinstance(lifetime, int | float) or (
        isinstance(lifetime, str) and lifetime.isdecimal()
    )
    return {**answer, "expires_in": lifetime if is_number else None}
