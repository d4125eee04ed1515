"""The exceptions of runs.

The docstring of an exception is its message. `apps.orgs.problems` maps the base classes to HTTP responses.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from apps.auth.exceptions import TooManyAttempts
from apps.orgs.exceptions import Conflict, Disabled
from apps.pipelines.schedules.words import describe_times


class NotRetryable(Conflict):
    """Only a failed or cancelled run can be retried."""

    code = "not_retryable"


class AlreadyEnded(Conflict):
    """The run has ended already."""

    code = "already_ended"


class BackfillEnded(Conflict):
    """The backfill has ended already."""

    code = "already_ended"


class NoPosition(Conflict):
    """The stream has no finished sync yet, so there is no position to change: run the pipeline first."""

    code = "no_position"


class BackfillInProgress(Conflict):
    """The stream has a backfill that has not ended yet: wait for it, or cancel it."""

    code = "backfill_in_progress"

    def __init__(self, backfill_id: UUID) -> None:
        super().__init__(self.__doc__ or "", backfill_id=str(backfill_id))


class NothingToSend(Conflict):
    """No rejected records of the run can be sent again."""

    code = "nothing_to_send"

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or self.__doc__ or "")


class DatabaseBusy(Conflict):
    """A run is writing to this database, or other downloads are being prepared: try again in a minute."""

    code = "busy"


class NotReadable(Conflict):
    """This destination stores no records. The log of each run has what the destination shows of them. Records can be
    looked at in DuckDB, PostgreSQL, Parquet, CSV and JSON Lines: choose one of these as the destination.
    """

    code = "not_readable"

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


class DestinationDeleted(Conflict):
    """The destination that the run has written to was deleted: run the pipeline, and look again."""

    code = "destination_deleted"


class WrittenByAnother(Conflict):
    """Another pipeline, whose records you may not look at, writes this table now: run the pipeline, and look again."""

    code = "written_by_another"


class PipelineDisabled(Disabled):
    """The pipeline is disabled: enable it, or run it once with force."""


class HookDisabled(Disabled):
    """The hook is disabled: enable it on the page of its pipeline."""


class InBlackout(Disabled):
    """The schedule of the pipeline has a blackout now: call again afterwards, or let a person start it."""

    def __init__(self, until: datetime, zone: str) -> None:
        super().__init__(
            f"The schedule of the pipeline has a blackout until {describe_times([until], zone)}: call again afterwards."
        )


class CallReplayed(Conflict):
    """This signed call has already started a run: sign each call with a new time stamp."""

    code = "replayed"


class TooManyCalls(TooManyAttempts):
    """This hook was called more than 60 times in a minute: wait a minute."""

    def __init__(self) -> None:
        super().__init__(60)


class MoveNotAllowed(Exception):
    """This change of state is not allowed; the caller has a bug."""


class LeaseLost(Exception):
    """This worker no longer owns the run, so it must stop and write nothing more."""
