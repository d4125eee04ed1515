from pydantic import Field

from apps.agent.tools.base import Arguments


class ListDomains(Arguments):
    limit: int = Field(50, ge=1, le=200, description="The largest number of domains.")
