"""Customers from Cycle, the product feedback platform."""

from __future__ import annotations

from typing import Any, ClassVar

from bizon.connectors.sources.cycle.src.source import CycleSource
from pydantic import Field

from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.bizon.authentication import ApiKey
from apps.engine.sources.connector import SourceSettings
from apps.engine.sources.http.responses import PermanentSourceError

KIND = "cycle"
TITLE = "Cycle"
DESCRIPTION = "Customers and their companies from Cycle, the product feedback platform."
DOCS_URL = "https://docs.cycle.app"
ICON = "refresh"


class Config(SourceSettings):
    """Which workspace's customers to read."""

    slug: str = Field(
        min_length=1, max_length=200, description="Slug of the Cycle workspace", examples=["acme"]
    )
    authentication: ApiKey = Field(description="The API key of the workspace")


class FailsOnRefusedQuery(CycleSource):
    """Raises for an error response, which bizon 0.6.4 treats as a response without customers."""

    def run_graphql_query(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = super().run_graphql_query(query, variables)
        if answer.get("errors"):
            messages = "; ".join(str(error.get("message", error)) for error in answer["errors"][:3])
            raise PermanentSourceError("Cycle refused the query", evidence=(messages[:300],))
        return answer


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = FailsOnRefusedQuery
    check_reads_page: ClassVar[bool] = True
