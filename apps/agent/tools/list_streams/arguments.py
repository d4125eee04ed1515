from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ListStreams(Arguments):
    connector_id: UUID = Field(description="A source's id, from list_connectors.")
    search: str = Field("", max_length=100, description="Part of the stream's name.")
    limit: int = Field(50, ge=1, le=200, description="The largest number of streams.")
