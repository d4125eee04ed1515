"""A worksheet of Google Sheets."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import gspread
from bizon.connectors.sources.gsheets.src.source import GsheetsSource
from google.auth.exceptions import GoogleAuthError, MalformedError, RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.service_account import Credentials
from pydantic import Field

from apps.egress.http import PolicySession, apply_policy
from apps.engine.failures import AuthenticationError, ConfigurationError, SourceError
from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.bizon.guard import convert_failed_request
from apps.engine.sources.connector import Secret, SourceSettings

KIND = "gsheets"
TITLE = "Google Sheets"
DESCRIPTION = "The rows of a worksheet that is shared with a service account."
DOCS_URL = "https://docs.gspread.org/en/latest/oauth2.html#service-account"
ICON = "sheet"

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
TIMEOUT = (10.0, 60.0)  # seconds to connect, and seconds between two bytes


class Config(SourceSettings):
    """Which worksheet to read, and with which service account."""

    spreadsheet_url: str = Field(
        max_length=2000,
        pattern=r"^https://docs\.google\.com/spreadsheets/",
        description="URL of the spreadsheet",
        examples=["https://docs.google.com/spreadsheets/d/1aBcD/edit"],
    )
    worksheet_name: str = Field(
        min_length=1, max_length=100, description="Name of the worksheet", examples=["Sheet1"]
    )
    service_account_key: str = Secret(
        "JSON key of a service account that the spreadsheet is shared with",
        min_length=2,
        max_length=20_000,
    )
    column_names: list[str] = Field(
        default_factory=list, max_length=1000, description="Columns to read; all when empty"
    )
    convert_column_names_to_sql_format: bool = Field(
        True, description="Convert column names to lower case with underscores"
    )


class GuardedGsheetsSource(GsheetsSource):
    """Never uses this machine's own identity, and requests tokens only from Google's address."""

    allow_private: ClassVar[bool]

    def get_gspread_client(self) -> gspread.client.Client:
        credentials = credentials_from_key(self.config.service_account_key)
        token_session = PolicySession(allow_private=self.allow_private, timeout=TIMEOUT)
        session = _as_any(AuthorizedSession)(credentials, auth_request=Request(token_session))
        apply_policy(session, allow_private=self.allow_private)
        session.max_redirects = 0
        client = gspread.Client(credentials, session=session)
        client.set_timeout(TIMEOUT)
        return client


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = GuardedGsheetsSource

    def _call(self, function: Any) -> Any:
        try:
            return super()._call(function)
        except PermissionError as error:  # gspread raises this for 403
            raise AuthenticationError(
                "the spreadsheet is not shared with the service account",
                evidence=(str(error.__cause__)[:300],),
            ) from error
        except gspread.exceptions.APIError as error:
            raise convert_failed_request(error.response) from error
        except gspread.exceptions.GSpreadException as error:
            raise ConfigurationError(
                "the worksheet cannot be read", evidence=(f"{type(error).__name__}: {error}"[:300],)
            ) from error
        except RefreshError as error:
            raise AuthenticationError(
                "Google refused the service account", evidence=(str(error.args[0])[:300],)
            ) from error
        except GoogleAuthError as error:
            raise SourceError(
                "Google could not be reached", evidence=(str(error)[:300],)
            ) from error


def credentials_from_key(key: str) -> Any:
    """Create credentials from a service account's JSON key. Raises ConfigurationError."""
    try:
        fields = json.loads(key)
        if fields.get("token_uri", TOKEN_URI) != TOKEN_URI:
            raise ConfigurationError(f"the key's token_uri must be {TOKEN_URI}")
        create = _as_any(Credentials.from_service_account_info)
        credentials = create({**fields, "token_uri": TOKEN_URI})
    except (ValueError, AttributeError, MalformedError):
        raise ConfigurationError(
            "the service account key is not a JSON key created by Google"
        ) from None
    return credentials.with_scopes(gspread.auth.READONLY_SCOPES)


def _as_any(function: Any) -> Any:
    """Return the function unchanged, as Any: google-auth is marked as typed, but some functions are not."""
    return function
