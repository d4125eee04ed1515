"""Insight reports from Sana."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from bizon.connectors.sources.sana_ai.src.source import SanaSource
from pydantic import Field

from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.connector import Secret, SourceSettings
from apps.engine.sources.http.responses import PermanentSourceError

KIND = "sana_ai"
TITLE = "Sana"
DESCRIPTION = "The rows of an insight report of Sana, the learning platform."
DOCS_URL = "https://docs.sana.ai"
ICON = "graduation-cap"

FAILED_STATUSES = frozenset({"failed", "error", "cancelled", "canceled", "expired"})


class TokenParams(SourceSettings):
    """The parameters for requesting an access token."""

    token_refresh_endpoint: str = Field(
        max_length=2000, pattern=r"^https?://", description="URL of the token endpoint"
    )
    client_id: str = Field(min_length=1, max_length=1000, description="Client ID")
    client_secret: str = Secret("Client secret", min_length=1, max_length=10_000)
    refresh_token: str | None = Secret("Refresh token", default=None, max_length=10_000)
    scopes: list[str] = Field(default_factory=list, max_length=50, description="Scopes to request")
    grant_type: Literal["client_credentials", "refresh_token"] = Field(
        "client_credentials", description="Grant type"
    )
    response_field_path: str | None = Field(
        None, max_length=200, description="Path of the token in the response", examples=["data"]
    )
    access_token_name: str = Field(
        "access_token", max_length=100, description="Field with the token"
    )
    expires_in_name: str = Field(
        "expires_in", max_length=100, description="Field with the token's lifetime in seconds"
    )


class OAuth(SourceSettings):
    """An app with access to reports."""

    type: Literal["oauth"]
    params: TokenParams = Field(description="The app's credentials")


class Config(SourceSettings):
    """Which report to run, and in which workspace."""

    domain: str = Field(
        max_length=63,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
        description="Subdomain of the Sana workspace",
        examples=["acme"],
    )
    query: str = Field(
        min_length=1,
        max_length=20_000,
        description="The report's query",
        examples=["SELECT * FROM users"],
        json_schema_extra={"format": "sql"},
    )
    authentication: OAuth = Field(description="Authentication")


class FailsOnFailedReport(SanaSource):
    """Raises for a failed report, for which bizon 0.6.4 would wait forever."""

    def get_insight_report_job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = super().get_insight_report_job(job_id)
        status = str(job["data"]["status"])
        if status.lower() in FAILED_STATUSES:
            raise PermanentSourceError(
                f"the report ended as {status!r}", evidence=(str(job)[:300],)
            )
        return job


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = FailsOnFailedReport
    check_reads_page: ClassVar[bool] = True
