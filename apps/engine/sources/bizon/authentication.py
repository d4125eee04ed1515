"""The authentication settings of bizon's sources, `type` and `params`, with secrets marked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from apps.engine.sources.connector import Secret, SourceSettings

ONE_LINE_PATTERN = r"^[^\x00-\x1f\x7f]*$"


class TokenParams(SourceSettings):
    """A token that is sent with each request."""

    token: str = Secret("The token", min_length=1, max_length=10_000, pattern=ONE_LINE_PATTERN)


class ApiKey(SourceSettings):
    """An API key of the account."""

    type: Literal["api_key"]
    params: TokenParams = Field(description="The key")


class Bearer(SourceSettings):
    """A token of a user or an integration."""

    type: Literal["bearer"]
    params: TokenParams = Field(description="The token")


class OAuthParams(SourceSettings):
    """The parameters for requesting a new access token."""

    client_id: str = Field(min_length=1, max_length=1000, description="Client ID")
    client_secret: str = Secret("Client secret", min_length=1, max_length=10_000)
    refresh_token: str = Secret("Refresh token", min_length=1, max_length=10_000)


class OAuth(SourceSettings):
    """An OAuth 2.0 app with access to the account."""

    type: Literal["oauth"]
    params: OAuthParams = Field(description="The app's credentials")
