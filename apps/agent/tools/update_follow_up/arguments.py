from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.agent.tools.text_arguments import VisibleLine


class UpdateFollowUp(Arguments):
    """The values that change. Values that are left out do not change."""

    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    follow_up_id: UUID = Field(
        description="The id of the call, from the part follow_ups of show_pipeline."
    )
    name: VisibleLine | None = Field(
        None, min_length=1, max_length=120, description="The new name."
    )
    after: Literal["success", "end"] | None = Field(
        None,
        description="After each success, or after each end, also of runs that have failed or were cancelled.",
    )
    enabled: bool | None = Field(None, description="Whether it is called.")
