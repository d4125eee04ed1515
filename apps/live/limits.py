"""Limit the number of open event streams in one web process: per member, per org and in total.

A stream is counted from the check of its credential, before its first read, until its end. Only the event loop changes
the counts, so no lock is needed. Each web process counts only its own streams, so n processes together allow n times as
many streams.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from apps.web.metrics import process
from apps.web.problems import Problem

RETRY_AFTER = "10"  # seconds


class StreamLimits:
    def __init__(self) -> None:
        self._counts_by_id: Counter[UUID] = Counter()
        self.count = 0

    @contextmanager
    def count_open_stream(self, *, member: UUID, org: UUID) -> Iterator[None]:
        """Count a stream of a member and an org until the block ends. Raises Problem if a limit is reached.

        `member` is the user's id, also for API keys.
        """
        self.require_below_process_limit()
        self._require_below_limit(member, settings.STREAMS_PER_MEMBER, MEMBER_LIMIT_MESSAGE)
        self._require_below_limit(org, settings.STREAMS_PER_ORG, ORG_LIMIT_MESSAGE)
        self._change_counts(1, member, org)
        try:
            yield
        finally:
            self._change_counts(-1, member, org)

    def require_below_process_limit(self) -> None:
        """Raise Problem if this process has the maximum number of streams."""
        if self.count >= settings.STREAMS_PER_PROCESS:
            message = "This server has reached its limit of live streams; try again shortly."
            raise Problem(503, message, "unavailable", headers={"Retry-After": RETRY_AFTER})

    def _require_below_limit(self, counted_id: UUID, limit: int, message: str) -> None:
        if (open_count := self._counts_by_id[counted_id]) >= limit:
            raise Problem(
                429,
                message.format(open_count=open_count),
                "too_many_streams",
                headers={"Retry-After": RETRY_AFTER},
                extra={"limit": limit},
            )

    def _change_counts(self, by: int, *counted_ids: UUID) -> None:
        self.count += by
        process.change_open_streams(by)
        for counted_id in counted_ids:
            self._counts_by_id[counted_id] += by
            if not self._counts_by_id[counted_id]:
                del self._counts_by_id[counted_id]


MEMBER_LIMIT_MESSAGE = (
    "You have {open_count} live streams, the maximum per member including your API keys. Close pages or stop programs"
    " that follow runs, then try again."
)
ORG_LIMIT_MESSAGE = (
    "Your organization has {open_count} live streams, its maximum. Ask members to close pages or stop programs"
    " that follow runs, then try again."
)
