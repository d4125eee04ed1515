"""The jobs that deliver. A job only wakes a worker: what has to be sent is in the rows of the deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from apps.background import jobs

QUEUE = "alerts"
DELIVER_TASK = "alerts.deliver"


def deliver_soon(*, org_id: UUID, channel_ids: Iterable[UUID]) -> None:
    """Defer a job for each channel, which starts after this transaction is committed."""
    jobs.defer_many(
        DELIVER_TASK,
        queue=QUEUE,
        arguments=[
            {"org_id": str(org_id), "channel_id": str(channel_id)} for channel_id in channel_ids
        ],
    )
