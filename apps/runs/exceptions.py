"""What can go wrong with runs. The docstring is the message; `config.problems` maps each to one HTTP status."""

from __future__ import annotations

from uuid import UUID

from apps.orgs.exceptions import Conflict, Disabled


class RunInProgress(Conflict):
    """This pipeline has a run that has not ended yet."""

    code = "run_in_progress"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(
            f"The run {run_id} of this pipeline has not ended yet.", run_id=str(run_id)
        )


class NotRetryable(Conflict):
    """Only a failed or cancelled run can be retried."""

    code = "not_retryable"


class AlreadyEnded(Conflict):
    """The run has ended already."""

    code = "already_ended"


class NoPosition(Conflict):
    """The stream has no finished sync yet, so there is no position to change: run it first."""

    code = "no_position"


class PipelineDisabled(Disabled):
    """The pipeline is disabled: enable it, or run it once with force."""


class MoveNotAllowed(Exception):
    """No run goes from the one state to the other; the caller has a bug."""


class LeaseLost(Exception):
    """Another worker, or nobody, owns this run now: stop, and write nothing more."""
