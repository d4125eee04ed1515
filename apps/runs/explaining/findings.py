"""What is known about a pipeline, and what an explanation of it contains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from apps.engine.failures import FailureClass
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.models import Pipeline, Schedule
from apps.pipelines.schedules import words
from apps.runs.models import ENDED, Status
from apps.runs.snapshots import RunSnapshot

AUDIT_PATH = "/settings/audit"
LATE_AFTER = timedelta(minutes=2)  # the scheduler creates due runs within this time
CAUSES: dict[str, str] = {  # {class of a failure: the cause in words}
    FailureClass.CONFIGURATION: "its settings",
    FailureClass.AUTHENTICATION: "its credentials",
    FailureClass.RATE_LIMIT: "a limit of requests",
    FailureClass.SOURCE: "the source",
    FailureClass.DESTINATION: "the destination",
    FailureClass.CONTRACT: "the form of the data",
    FailureClass.CANCELLED: "a cancellation",
    FailureClass.TIMEOUT: "a time limit",
    FailureClass.MEMORY: "its memory limit",
    FailureClass.CRASHED: "a crash of its process",
    FailureClass.INTERNAL: "an error in Drover",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact, and the page of the dashboard that shows it.

    `quote` is a text that Drover has not written itself, for example the message of a database. It may contain record
    values. `by_code` is set if the organization's own code has written the quote.
    """

    text: str
    path: str
    quote: str = ""
    by_code: bool = False


@dataclass(frozen=True, slots=True)
class SuggestedChange:
    """Settings of the pipeline that would help. A value that is None does not change.

    `restored_version` is an old version of the definition that becomes the newest one again.
    """

    reason: str
    timeout_seconds: int | None = None
    max_attempts: int | None = None
    interval_seconds: int | None = None
    enabled: bool | None = None
    paused: bool | None = None
    restored_version: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The evidence about a pipeline. `is_healthy` is set if it is not late, failing, waiting or empty."""

    pipeline_id: UUID
    pipeline_name: str
    is_healthy: bool
    evidence: tuple[Evidence, ...]
    suggestion: SuggestedChange | None


@dataclass(frozen=True, slots=True)
class PipelineFacts:
    """A pipeline with its schedule and its newest runs, newest first.

    `failure_count` and `first_failure` are about the failed runs since the last successful run. `first_empty_run` and
    `last_run_with_records` are about successful runs; they are None if the newest successful run read records.
    """

    org: Org
    by: Principal
    pipeline: Pipeline
    schedule: Schedule | None
    runs: list[RunSnapshot]
    last_success: RunSnapshot | None
    first_failure: RunSnapshot | None
    failure_count: int
    last_run_with_records: RunSnapshot | None
    first_empty_run: RunSnapshot | None
    now: datetime

    @property
    def path(self) -> str:
        return f"/pipelines/{self.pipeline.pk}"

    @property
    def live_run(self) -> RunSnapshot | None:
        return next((run for run in self.runs if run["status"] not in ENDED), None)

    @property
    def ended_runs(self) -> list[RunSnapshot]:
        return [run for run in self.runs if run["status"] in ENDED]

    @property
    def newest_failure(self) -> RunSnapshot | None:
        """The newest run that has ended, if it failed."""
        newest = next(iter(self.ended_runs), None)
        return newest if newest and newest["status"] == Status.FAILED else None

    @property
    def is_overdue(self) -> bool:
        """Whether a run is due and was not created."""
        due = self.schedule.next_run_at if self.schedule else None
        return due is not None and due < self.now - LATE_AFTER

    @property
    def is_healthy(self) -> bool:
        """Whether the newest run has read records without problems, and the next one can start when it is due."""
        is_paused = self.schedule is not None and self.schedule.paused_at is not None
        can_start = self.pipeline.enabled and not is_paused and not self.is_overdue
        has_ended = self.live_run is None and bool(self.ended_runs)
        return can_start and has_ended and self.run_with_problems is None

    def time_text(self, moment: datetime | None) -> str:
        """Return the time in the time zone of the pipeline's schedule."""
        if moment is None:
            return "an unknown time"
        return words.describe_times([moment], self.schedule.timezone if self.schedule else "UTC")

    @property
    def run_with_problems(self) -> RunSnapshot | None:
        """The run whose log is read: a run that waits for its next attempt, or the newest that ended not as expected.

        A run that succeeded is one of them if it read no records or rejected some.
        """
        if (live := self.live_run) is not None and live["attempt"]:
            return live
        newest = next(iter(self.ended_runs), None)
        if newest is None or newest["status"] != Status.SUCCEEDED:
            return newest
        progress = newest["progress"]
        return newest if progress["read"] == 0 or progress["rejected"] else None


def run_path(run: RunSnapshot) -> str:
    return f"/runs/{run['id']}"


def cause_text(failure_class: str) -> str:
    return f"because of {CAUSES.get(failure_class, failure_class)}"
