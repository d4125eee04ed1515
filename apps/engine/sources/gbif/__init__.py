"""Species occurrences from the Global Biodiversity Information Facility."""

from __future__ import annotations

from typing import Any, ClassVar

from bizon.connectors.sources.gbif.src.source import GBIF_MAX_OFFSET, GBIFSource
from pydantic import Field

from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.connector import SourceSettings

KIND = "gbif"
TITLE = "GBIF"
DESCRIPTION = "Where and when species were observed: the first 100,000 records of a public API."
DOCS_URL = "https://techdocs.gbif.org/en/openapi/v1/occurrence"
ICON = "leaf"


class Config(SourceSettings):
    """How much to read."""

    page_limit: int = Field(300, ge=1, le=300, description="Records in a page")
    max_records: int | None = Field(
        None,
        ge=1,
        le=GBIF_MAX_OFFSET,
        description="Records to read; all that the API offers when empty",
    )


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = GBIFSource

    @property
    def records_per_request(self) -> int:
        return self.settings.page_limit

    def get_total_records_count(self) -> int | None:
        available = super().get_total_records_count() or 0
        return min(available, self.settings.max_records or GBIF_MAX_OFFSET) or None
