from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class DecideSourceChanges(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    change_ids: list[UUID] = Field(
        min_length=1,
        max_length=50,
        description="Ids of changes, from show_pipeline with the part source_changes.",
    )
    decision: Literal["accept", "ignore", "pause"] = Field(
        description=(
            "With accept a new column that is left out or fails runs arrives, and a stream that is gone is removed from"
            " the pipeline; ignore changes nothing; pause pauses the schedule until somebody accepts or ignores the"
            " changes."
        )
    )
