from typing import Literal
from uuid import UUID

from pydantic import Field, JsonValue

from apps.agent.tools.base import Arguments
from apps.agent.tools.text_arguments import Line


class RequestConnector(Arguments):
    role: Literal["source", "destination"] = Field(description="The role of the connector.")
    kind: str = Field(min_length=1, max_length=60, description="From list_connector_kinds.")
    name: Line = Field(
        "", max_length=120, description="A suggested name that no connector has yet."
    )
    config: dict[str, JsonValue] = Field(
        {},
        max_length=50,
        description="Known settings, without secrets. The user fills in the rest.",
    )
    domain_id: UUID | None = Field(
        None, description="From list_domains. Null for the whole organization."
    )
