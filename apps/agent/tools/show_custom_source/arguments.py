from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ShowCustomSource(Arguments):
    custom_source_id: UUID = Field(description="From list_custom_sources.")
    part: int = Field(1, ge=1, le=1000, description="Number of the part of long code.")
