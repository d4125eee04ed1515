from uuid import UUID

from pydantic import Field

from apps.agent.tools.base import Arguments


class CancelRun(Arguments):
    run_id: UUID = Field(description="The run's id, from list_runs.")
