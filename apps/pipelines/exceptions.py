"""The exceptions of pipelines. The docstring is the message."""

from __future__ import annotations

from uuid import UUID

from apps.orgs.exceptions import Conflict


class PipelineNameTaken(Conflict):
    """Another pipeline has this name."""

    code = "name_taken"


class NoSchedule(Conflict):
    """This pipeline has no schedule."""

    code = "no_schedule"


class RunInProgress(Conflict):
    """This pipeline has a run that has not ended yet."""

    code = "run_in_progress"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(
            f"The run {run_id} of this pipeline has not ended yet.", run_id=str(run_id)
        )


class ChangeDecided(Conflict):
    """Somebody has already accepted or ignored this change."""

    code = "change_decided"


class HookNameTaken(Conflict):
    """Another hook of this pipeline has this name."""

    code = "name_taken"


class TooManyHooks(Conflict):
    """The pipeline has 20 hooks, which is the most: delete one first."""

    code = "too_many_hooks"
