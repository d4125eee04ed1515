from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class SetPipelineEnabled(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    enabled: bool = Field(description="True to enable the pipeline, false to disable it.")
