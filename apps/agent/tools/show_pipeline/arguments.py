from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments

Part = Literal["settings", "streams"]


class ShowPipeline(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    part: Part = Field(
        "settings",
        description="What to show: the settings, or the streams with those that patterns choose.",
    )
    search: str = Field(
        "", max_length=200, description="Part of the name of a stream, for streams."
    )
    offset: int = Field(0, ge=0, le=10**6, description="The first row, for streams.")
