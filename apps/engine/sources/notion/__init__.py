"""Pages, blocks, databases and users from Notion."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from bizon.connectors.sources.notion.src.config import NotionStreams
from bizon.connectors.sources.notion.src.source import NotionSource
from pydantic import Field

from apps.engine.contract import SyncMode
from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.bizon.authentication import ApiKey, Bearer
from apps.engine.sources.connector import SourceSettings
from apps.json import JsonValue

KIND = "notion"
TITLE = "Notion"
DESCRIPTION = "Pages, blocks, databases and users of a Notion workspace."
DOCS_URL = "https://developers.notion.com/reference"
ICON = "notebook"

# Streams that bizon 0.6.4 always reads from the beginning, although its source offers incremental syncs.
FULL_REFRESH_STREAMS = frozenset(
    {NotionStreams.USERS, NotionStreams.DATA_SOURCES, NotionStreams.ALL_DATA_SOURCES}
)

Id = Annotated[str, Field(pattern=r"^[0-9a-fA-F-]{32,36}$")]


class Config(SourceSettings):
    """Which parts of the workspace to read."""

    authentication: Annotated[ApiKey | Bearer, Field(discriminator="type")] = Field(
        description="The integration's secret"
    )
    database_ids: list[Id] = Field(
        default_factory=list,
        max_length=1000,
        description="Databases to read; used by the streams databases, data_sources, pages and blocks",
    )
    page_ids: list[Id] = Field(
        default_factory=list,
        max_length=10_000,
        description="Individual pages to read; used by the streams pages and blocks",
    )
    fetch_blocks_recursively: bool = Field(True, description="Whether to read nested blocks")
    max_recursion_depth: int = Field(5, ge=1, le=100, description="Maximum depth of nested blocks")
    page_size: int = Field(100, ge=1, le=100, description="Results in a page")
    max_workers: int = Field(3, ge=1, le=10, description="Concurrent requests for blocks")
    database_filters: dict[Id, dict[str, Any]] = Field(
        default_factory=dict, description="Notion's own filter for each database"
    )
    skip_unreadable: bool = Field(
        False,
        description="Skip objects that cannot be read, with a warning, instead of failing the run",
    )


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = NotionSource
    incremental: ClassVar[bool] = True

    @classmethod
    def sync_modes(cls, stream: str | None) -> tuple[SyncMode, ...]:
        if stream in {full_refresh.value for full_refresh in FULL_REFRESH_STREAMS}:
            return ("full_refresh",)
        return ("full_refresh", "incremental")

    def bizon_settings(self) -> dict[str, JsonValue]:
        settings = super().bizon_settings()
        del settings["skip_unreadable"]
        return settings

    def tolerates_gaps(self) -> bool:
        return self.settings.skip_unreadable
