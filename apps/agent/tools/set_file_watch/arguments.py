from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.pipelines.file_watches.serializers import MAX_MINUTES


class SetFileWatch(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    enabled: bool = Field(description="Whether new files start the pipeline.")
    minutes: int | None = Field(
        None,
        ge=1,
        le=MAX_MINUTES,
        description="Minutes between two looks for files. Null keeps them; they are 5 in a new watch.",
    )
    present_files_are_new: bool = Field(
        False, description="Whether the files that are there now start a run too."
    )
