from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class PreviewPipeline(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    max_records: int = Field(10, ge=1, le=50, description="The largest number of records.")
