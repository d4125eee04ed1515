from typing import Literal

from pydantic import Field

from apps.agent.tools.base import Arguments


class ListConnectorKinds(Arguments):
    role: Literal["source", "destination"] | None = Field(
        None, description="Null for sources and destinations."
    )
    search: str = Field("", max_length=100, description="Part of the name or description.")
