from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class PreviewSource(Arguments):
    code: str | None = Field(
        None, max_length=150_000, description="The complete code. Null for a saved source."
    )
    custom_source_id: UUID | None = Field(
        None, description="A saved source, from list_custom_sources. Null for code."
    )
    connector_id: UUID | None = Field(
        None, description="A connector of the saved source, whose settings are used."
    )
    stream: str = Field(min_length=1, max_length=200, description="The stream to read.")
    max_records: int = Field(10, ge=1, le=50, description="The largest number of records.")
