"""Check whether the org reaches one of its monthly limits while one of its runs is running."""

from __future__ import annotations

import time
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.runs.usage import counting as usage

MEASURE_EVERY = 5.0  # seconds between two checks


class LimitWatch:
    """Stops a run when a limit is reached. Committed rows stay, and the next run continues from there."""

    def __init__(self, org_id: UUID) -> None:
        self.reached: usage.Measure | None = None
        self._org_id = org_id
        self._measured = time.monotonic()

    def is_reached(self) -> bool:
        """Check the limits; queries the database at most every MEASURE_EVERY seconds."""
        if time.monotonic() > self._measured + MEASURE_EVERY:
            self._measured = time.monotonic()
            with org_scope(self._org_id):
                self.reached = usage.over(Org.objects.get(pk=self._org_id))
        return self.reached is not None
