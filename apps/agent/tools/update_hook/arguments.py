from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.agent.tools.text_arguments import VisibleLine


class UpdateHook(Arguments):
    """The values that change. Values that are left out do not change."""

    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    hook_id: UUID = Field(description="The hook's id, from the part hooks of show_pipeline.")
    name: VisibleLine | None = Field(
        None, min_length=1, max_length=120, description="The new name."
    )
    enabled: bool | None = Field(None, description="False refuses the calls of programs.")
