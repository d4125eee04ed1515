from pydantic import Field

from apps.agent.tools.base import Arguments


class ListPipelines(Arguments):
    search: str = Field(
        "", max_length=100, description="Part of the name. Empty for all pipelines."
    )
    limit: int = Field(20, ge=1, le=100, description="The largest number of pipelines.")
