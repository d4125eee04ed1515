"""Limit how often one client reads public pages, before the database is asked.

Each web process counts only its own requests, so n processes together allow n times as many.
"""

from __future__ import annotations

import threading
from collections import Counter

from django.utils import timezone

from apps.alerts.exceptions import TooManyReads
from apps.auth.attempts import client_network

READS_PER_MINUTE = 300  # of one IP address; a README may show many badges
MINUTE = 60


class ReadLimit:
    """Counts the reads of each client in the current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: Counter[str] = Counter()

    def count(self, ip: str | None) -> None:
        """Count a read. Raises TooManyReads until the next minute begins."""
        now = timezone.now().timestamp()
        with self._lock:
            if (minute := int(now // MINUTE)) != self._minute:
                self._minute = minute
                self._counts.clear()
            network = client_network(ip)
            self._counts[network] += 1
            too_many = self._counts[network] > READS_PER_MINUTE
        if too_many:
            raise TooManyReads(MINUTE - int(now % MINUTE))


reads = ReadLimit()
