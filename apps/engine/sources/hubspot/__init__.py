"""Contacts, companies and deals from HubSpot."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from bizon.connectors.sources.hubspot.src import hubspot_base
from bizon.connectors.sources.hubspot.src import hubspot_objects as upstream
from bizon.source.models import SourceIteration, SourceRecord
from pydantic import Field

from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.bizon.authentication import ApiKey, OAuth
from apps.engine.sources.connector import SourceSettings
from apps.json import JsonValue

KIND = "hubspot"
TITLE = "HubSpot"
DESCRIPTION = "Contacts, companies and deals of a HubSpot account, with all or selected properties."
DOCS_URL = "https://developers.hubspot.com/docs/api/crm/understanding-the-crm"
ICON = "users"


class Properties(SourceSettings):
    """Which properties of an object to read."""

    strategy: Literal["all", "selected"] = Field(
        "all", description="All properties, or only the selected properties"
    )
    selected_properties: list[str] = Field(
        default_factory=list, max_length=2000, description="Names of the selected properties"
    )


class Config(SourceSettings):
    """Which account to read, and which properties of each object."""

    authentication: Annotated[ApiKey | OAuth, Field(discriminator="type")] = Field(
        description="A private app's token, or an OAuth app"
    )
    properties: Properties = Field(default_factory=Properties, description="Properties to read")


class CorrectedHubSpotSource(upstream.HubSpotObjectsSource):
    """Corrects bizon 0.6.4, which returns the last page as a tuple and expects tuples in its connection check."""

    def check_connection(self) -> tuple[bool, str | None]:
        self.get()
        return True, None

    def parse_response(self, response: dict[str, Any]) -> SourceIteration:
        next_page = response.get("paging", {}).get("next")
        return SourceIteration(
            next_pagination={"after": next_page["after"]} if next_page else {},
            records=[SourceRecord(id=record["id"], data=record) for record in response["results"]],
        )


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = CorrectedHubSpotSource

    def bizon_settings(self) -> dict[str, JsonValue]:
        settings: dict[str, Any] = super().bizon_settings()
        authentication = settings["authentication"]
        if authentication["type"] == "oauth":
            authentication["params"]["token_refresh_endpoint"] = hubspot_base.URL_TOKEN_REFRESH
        return settings
