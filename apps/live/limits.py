"""Limit the number of open streams in one web process: per member, per org and in total.

A stream takes a slot after the check of its credential and before its first read, and releases the slot at its end.
Only the event loop does this, so no lock is needed. Each web process counts only its own streams, so n processes together
allow n times as many streams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from apps.web.problems import Problem

RETRY_AFTER = "10"  # seconds


class StreamLimits:
    def __init__(self) -> None:
        self._open_streams: Counter[UUID] = Counter()
        self.count = 0

    @contextmanager
    def take_slot(self, *, member: UUID, org: UUID) -> Iterator[None]:
        """Take a slot for a member and the org. `member` is the user's id, also for API keys. Raises Problem."""
        self.require_free_slot()
        self._require_below_limit(member, settings.STREAMS_PER_MEMBER, MEMBER_LIMIT_MESSAGE)
        self._require_below_limit(org, settings.STREAMS_PER_ORG, ORG_LIMIT_MESSAGE)
        self._change_counts(1, member, org)
        try:
            yield
        finally:
            self._change_counts(-1, member, org)

    def require_free_slot(self) -> None:
        """Raise Problem if this process has no free slot."""
        if self.count >= settings.STREAMS_PER_PROCESS:
            message = "This server has reached its limit of live streams; try again shortly."
            raise Problem(503, message, "unavailable", headers={"Retry-After": RETRY_AFTER})

    def _require_below_limit(self, counted_id: UUID, limit: int, message: str) -> None:
        if (open_count := self._open_streams[counted_id]) >= limit:
            raise Problem(
                429,
                message.format(open_count=open_count),
                "too_many_streams",
                headers={"Retry-After": RETRY_AFTER},
                extra={"limit": limit},
            )

    def _change_counts(self, by: int, *counted_ids: UUID) -> None:
        self.count += by
        for counted_id in counted_ids:
            self._open_streams[counted_id] += by
            if not self._open_streams[counted_id]:
                del self._open_streams[counted_id]


MEMBER_LIMIT_MESSAGE = (
    "You have {open_count} live streams, the maximum per member including your API keys. Close pages or stop programs"
    " that follow runs, then try again."
)
ORG_LIMIT_MESSAGE = (
    "Your organization has {open_count} live streams, its maximum. Ask members to close pages or stop programs"
    " that follow runs, then try again."
)
