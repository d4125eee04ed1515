"""The queue of turns."""

from __future__ import annotations

from uuid import UUID

from apps.background import jobs

AGENT = "agent"
RUN_TURN = "agent.run_turn"
IMPORT_PACKAGES = "agent.import_packages"


def run_turn(*, org_id: UUID, turn_id: UUID, seconds: float = 0.0) -> None:
    """Defer a job that runs the turn. Safe to call twice: only one job gets the turn's lease."""
    jobs.defer(
        RUN_TURN,
        queue=AGENT,
        arguments={"org_id": str(org_id), "turn_id": str(turn_id)},
        seconds=seconds,
    )


def import_packages() -> None:
    """Defer a job that imports the agent's packages in a worker, so that the first turn does not wait for them."""
    jobs.defer(IMPORT_PACKAGES, queue=AGENT, arguments={})
