from pydantic import Field

from apps.agent.tools.base import Arguments


class ListCustomSources(Arguments):
    search: str = Field("", max_length=100, description="Part of the name. Empty for all sources.")
    limit: int = Field(50, ge=1, le=200, description="The largest number of sources.")
