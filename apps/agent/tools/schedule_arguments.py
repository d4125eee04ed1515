"""The arguments of a schedule beside its times: what is missed, what overlaps, blackouts and the last day."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field

from apps.agent.tools.base import Arguments
from apps.pipelines.schedules.blackouts import MAX_WINDOWS

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class Blackout(Arguments):
    """A window of each week (weekdays, start and end), or of whole days (first_day and last_day)."""

    weekdays: list[Weekday] | None = Field(None, description="On which it begins.")
    start: str | None = Field(None, description="Local time, such as 22:00.")
    end: str | None = Field(None, description="Such as 06:00, which is of the next day then.")
    first_day: date | None = Field(None, description="The first of the whole days.")
    last_day: date | None = Field(
        None, description="The last of the whole days, which belongs to it."
    )


class ScheduleOptions(Arguments):
    """Values that are left out do not change, or have their defaults in a new schedule."""

    overlap: Literal["skip", "queue", "cancel_other"] | None = Field(
        None, description="What happens if a run is due while another one has not ended."
    )
    misfire: Literal["run_once", "skip"] | None = Field(
        None, description="What happens with times that were missed or are within a blackout."
    )
    jitter_seconds: int | None = Field(
        None, ge=0, description="Each run starts up to this much later."
    )
    blackouts: list[Blackout] | None = Field(
        None,
        max_length=MAX_WINDOWS,
        description="Windows in which only a person starts it. Replaces all; an empty list removes them.",
    )
    end_date: date | None = Field(None, description="The last day with runs.")

    def document(self) -> dict[str, Any]:
        """Return the schedule as a request has it."""
        return self.model_dump(mode="json", exclude_none=True)
