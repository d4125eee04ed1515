from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class DeleteHook(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    hook_id: UUID = Field(description="The hook's id, from the part hooks of show_pipeline.")
