from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ExplainPipeline(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
