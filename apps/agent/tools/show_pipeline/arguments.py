from typing import Literal
from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments

Part = Literal[
    "settings",
    "streams",
    "source_changes",
    "positions",
    "backfills",
    "file_watch",
    "hooks",
    "follow_ups",
]


class ShowPipeline(Arguments):
    pipeline_id: UUID = Field(description="The pipeline's id, from list_pipelines.")
    part: Part = Field(
        "settings",
        description=(
            "What to show. Streams are those that patterns choose too; source_changes are new, removed and changed"
            " columns, keys and streams that nobody has decided; positions are saved positions with their history;"
            " file_watch is whether new files start it; hooks are addresses at which programs start it; follow_ups are"
            " what is called after its runs."
        ),
    )
    search: str = Field(
        "", max_length=200, description="Part of a stream's name; for positions the exact name."
    )
    offset: int = Field(0, ge=0, le=10**6, description="The first row, not of settings.")
