from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class SetSchedulePaused(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    paused: bool = Field(description="True to pause the schedule, false to resume it.")
    note: str = Field("", max_length=500, description="Why it is paused. Members see it.")
