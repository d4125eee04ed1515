from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class ReadDocument(Arguments):
    document_id: UUID | None = Field(
        None, description="A document of this conversation. Null for the newest."
    )
    part: int = Field(
        0,
        ge=0,
        le=1000,
        description="Number of the part of the text. 0 for the plan, or the first part of a text.",
    )
