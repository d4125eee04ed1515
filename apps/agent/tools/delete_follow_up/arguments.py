from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class DeleteFollowUp(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    follow_up_id: UUID = Field(
        description="The id of the call, from the part follow_ups of show_pipeline."
    )
