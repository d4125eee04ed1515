from typing import Literal

from pydantic import Field

from apps.agent.tools.base import Arguments


class DescribeConnectorKind(Arguments):
    role: Literal["source", "destination"] = Field(description="The role of the connector.")
    kind: str = Field(min_length=1, max_length=60, description="From list_connector_kinds.")
    part: str | None = Field(
        None,
        max_length=100,
        description="One setting, or one name in $defs, to get its schema with all descriptions.",
    )
