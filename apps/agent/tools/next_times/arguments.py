from pydantic import Field

from apps.agent.tools.base import Arguments


class NextTimes(Arguments):
    schedule: str = Field(
        min_length=1,
        max_length=200,
        description="English, such as weekdays at 7:30 in Berlin, or a cron expression.",
    )
    timezone: str | None = Field(
        None, max_length=60, description="IANA name, for a schedule that names no place."
    )
    count: int = Field(3, ge=1, le=20, description="The number of times.")
