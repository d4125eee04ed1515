"""What is known about a pipeline, and what an explanation of it contains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines.models import Pipeline, Schedule
from apps.runs.models import ENDED, Status
from apps.runs.snapshots import RunSnapshot

AUDIT_PATH = "/settings/audit"


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
    pipeline_id: UUID
    pipeline_name: str
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


def time_text(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"
