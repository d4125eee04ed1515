"""What alerts need to know of a run that has ended. It can be stored, so that deciding can be repeated."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.utils import timezone

from apps.json import JsonObject
from apps.runs.snapshots import RunSnapshot


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run as it was when it ended. `failure` has class, message, retryable and next_step; it is None without a failure."""

    id: UUID
    pipeline_id: UUID
    pipeline_name: str
    version: int  # of the pipeline's definition
    kind: str
    status: str
    trigger: str
    attempts: int
    created_at: datetime
    finished_at: datetime
    seconds: float | None
    records_read: int
    records_written: int
    records_rejected: int
    failure: JsonObject | None

    @classmethod
    def of(cls, run: RunSnapshot) -> Self:
        failure, progress = run["failure"], run["progress"]
        return cls(
            id=run["id"],
            pipeline_id=run["pipeline"]["id"],
            pipeline_name=run["pipeline"]["name"],
            version=run["version"],
            kind=run["kind"],
            status=run["status"],
            trigger=run["trigger"],
            attempts=run["attempt"],
            created_at=run["created_at"],
            finished_at=run["finished_at"] or timezone.now(),
            seconds=run["duration_seconds"],
            records_read=progress["read"],
            records_written=progress["written"],
            records_rejected=progress["rejected"],
            # Not the evidence, which may contain values of records.
            failure=None
            if failure is None
            else {
                "class": failure["class"],
                "message": failure["message"],
                "retryable": failure["retryable"],
                "next_step": failure["next_step"],
            },
        )

    @classmethod
    def from_stored(cls, stored: dict[str, Any]) -> Self:
        """Return the run that `to_stored` has stored."""
        return cls(
            **{
                **stored,
                "id": UUID(stored["id"]),
                "pipeline_id": UUID(stored["pipeline_id"]),
                "created_at": datetime.fromisoformat(stored["created_at"]),
                "finished_at": datetime.fromisoformat(stored["finished_at"]),
            }
        )

    def to_stored(self) -> dict[str, Any]:
        """Return the run as JSON. Times keep their microseconds."""
        return {
            name: value
            if isinstance(value, (str, int, float, dict)) or value is None
            else value.isoformat()
            if isinstance(value, datetime)
            else str(value)
            for name, value in asdict(self).items()
        }
