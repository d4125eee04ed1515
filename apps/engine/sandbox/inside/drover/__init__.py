"""The package for writing custom sources.

from drover import Bearer, Cursor, RestSource, Secret, Stream

class Shop(RestSource):
    base_url = "https://api.example.com/v1"
    auth = Bearer("token")
    paging = Cursor("next_cursor")
    streams = [Stream("orders", records="data"), Stream("customers", records="data")]

    class Config:
        token: str = Secret("A token from Settings > API")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drover._failures import (
    AuthenticationError,
    ConfigurationError,
    ContractError,
    RateLimitError,
    SourceFailure,
)
from drover._source import Field, Page, Secret, Source, Stream

if TYPE_CHECKING:
    from drover._rest import (
        ApiKey,
        Basic,
        Bearer,
        Cursor,
        LinkHeader,
        NextUrl,
        OAuthClientCredentials,
        OAuthRefresh,
        Offset,
        PageNumber,
        Paging,
        RestSource,
    )

__all__ = [
    "ApiKey",
    "AuthenticationError",
    "Basic",
    "Bearer",
    "ConfigurationError",
    "ContractError",
    "Cursor",
    "Field",
    "LinkHeader",
    "NextUrl",
    "OAuthClientCredentials",
    "OAuthRefresh",
    "Offset",
    "Page",
    "PageNumber",
    "Paging",
    "RateLimitError",
    "RestSource",
    "Secret",
    "Source",
    "SourceFailure",
    "Stream",
]


def __getattr__(name: str) -> Any:
    """Import the REST classes when they are first used, because importing `requests` takes a tenth of a second."""
    if name in __all__:
        from drover import _rest

        return getattr(_rest, name)
    raise AttributeError(name)
