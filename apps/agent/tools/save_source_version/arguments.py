from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.agent.tools.text_arguments import Line


class SaveSourceVersion(Arguments):
    code: str = Field(min_length=1, max_length=150_000, description="The complete code.")
    custom_source_id: UUID | None = Field(
        None, description="The source that gets a new version. Null for a new source."
    )
    name: Line = Field("", max_length=120, description="The name of a new source.")
    note: Line = Field("", max_length=200, description="What changed, in one sentence.")
