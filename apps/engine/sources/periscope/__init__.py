"""Charts, dashboards, views and users from Periscope."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from bizon.connectors.sources.periscope.src.source import PeriscopeSource
from pydantic import Field

from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.connector import Secret, SourceSettings
from apps.json import JsonValue

KIND = "periscope"
TITLE = "Periscope"
DESCRIPTION = (
    "Charts, dashboards, views and users of a Periscope workspace (Sisense for Cloud Data Teams)."
)
DOCS_URL = "https://dtdocs.sisense.com"
ICON = "chart"


class Cookies(SourceSettings):
    """Cookies of a logged-in browser."""

    cf_bm: str = Secret("Value of the cookie `__cf_bm`", min_length=1, max_length=10_000)
    periscope_session: str = Secret(
        "Value of the cookie `periscope_session`", min_length=1, max_length=10_000
    )


class CookieParams(SourceSettings):
    """The cookies to send."""

    cookies: Cookies = Field(description="The cookies")


class CookieAuth(SourceSettings):
    """Authentication with the session of a logged-in browser."""

    type: Literal["cookies"]
    params: CookieParams = Field(description="Cookies and headers of the browser session")


class Config(SourceSettings):
    """Which workspace to read, and how to log in."""

    workspace_name: str = Field(min_length=1, max_length=200, description="Name of the workspace")
    client_site_id: int = Field(ge=0, description="Site ID")
    database_id: int = Field(ge=0, description="ID of the database whose charts are read")
    x_csrf_token: str = Secret("CSRF token of the session", min_length=1, max_length=10_000)
    authentication: CookieAuth = Field(description="Authentication")
    skip_unreadable: bool = Field(
        False,
        description="Skip dashboards that cannot be read, with a warning, instead of failing the run",
    )


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = PeriscopeSource
    check_reads_page: ClassVar[bool] = True

    def bizon_settings(self) -> dict[str, JsonValue]:
        settings = super().bizon_settings()
        del settings["skip_unreadable"]
        return settings

    def tolerates_gaps(self) -> bool:
        return self.settings.skip_unreadable
