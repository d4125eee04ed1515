from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class RestorePipelineVersion(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    number: int = Field(ge=1, description="The number of the old version, from explain_pipeline.")
