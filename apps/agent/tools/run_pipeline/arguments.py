from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class RunPipeline(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    force: bool = Field(False, description="True to run a disabled pipeline once.")
