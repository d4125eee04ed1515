"""Check during a run whether its org has reached a monthly limit."""

from __future__ import annotations

import time
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.walls.scope import org_scope
from apps.runs.usage import counting as usage

CHECK_INTERVAL = 5.0  # seconds between two checks


class LimitWatch:
    """Detects that the org has reached a limit. The run is stopped then, and its committed rows stay."""

    def __init__(self, org_id: UUID) -> None:
        self.reached_measure: usage.Measure | None = None
        self._org_id = org_id
        self._checked_at = time.monotonic()

    def is_reached(self) -> bool:
        """Check the limits; queries the database at most every CHECK_INTERVAL seconds."""
        if time.monotonic() > self._checked_at + CHECK_INTERVAL:
            self._checked_at = time.monotonic()
            with org_scope(self._org_id):
                self.reached_measure = usage.reached_limit(Org.objects.get(pk=self._org_id))
        return self.reached_measure is not None
