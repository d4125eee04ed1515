"""What can go wrong with pipelines. The docstring is the message."""

from __future__ import annotations

from apps.orgs.exceptions import Conflict


class PipelineNameTaken(Conflict):
    """Another pipeline has that name."""

    code = "name_taken"


class NoSchedule(Conflict):
    """This pipeline has no schedule."""

    code = "no_schedule"


class RunGoingOn(Conflict):
    """A run of this pipeline is going on; cancel it first."""

    code = "run_going_on"
