from pydantic import Field

from apps.agent.tools.base import Arguments


class FetchDocumentation(Arguments):
    url: str = Field(
        min_length=8,
        max_length=1000,
        description="The URL of one page that the user has named, or of an OpenAPI document.",
    )
