"""Limit the number of open streams in one web process: per member, per org and in total.

A slot is taken after checking the credential and before the first read, and released when the stream ends. Only
the event loop does this, so no lock is needed. Each web process counts its own streams: with n processes the
limits are n times as high.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from apps.web.problems import Problem

WAIT = "10"  # seconds after which a retry makes sense


class StreamLimits:
    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()
        self.count = 0

    @contextmanager
    def take(self, *, member: UUID, org: UUID) -> Iterator[None]:
        """Take a slot for a member (by user id, including its API keys) and the org. Raises Problem."""
        self.refuse_when_full()
        self._refuse_too_many(member, settings.STREAMS_PER_MEMBER, MEMBER)
        self._refuse_too_many(org, settings.STREAMS_PER_ORG, ORG)
        self._change(1, member, org)
        try:
            yield
        finally:
            self._change(-1, member, org)

    def refuse_when_full(self) -> None:
        """Raise Problem if this process has no slot left."""
        if self.count >= settings.STREAMS_PER_PROCESS:
            message = "This server has reached its limit of live streams; try again shortly."
            raise Problem(503, message, "unavailable", headers={"Retry-After": WAIT})

    def _refuse_too_many(self, whose: UUID, limit: int, message: str) -> None:
        if (taken := self._taken[whose]) >= limit:
            raise Problem(
                429,
                message.format(taken=taken),
                "too_many_streams",
                headers={"Retry-After": WAIT},
                extra={"limit": limit},
            )

    def _change(self, by: int, *whose: UUID) -> None:
        self.count += by
        for each in whose:
            self._taken[each] += by
            if not self._taken[each]:
                del self._taken[each]


MEMBER = (
    "You have {taken} live streams, the maximum per member including your API keys. Close pages or stop programs"
    " that follow runs, then try again."
)
ORG = (
    "Your organization has {taken} live streams, its maximum. Ask members to close pages or stop programs"
    " that follow runs, then try again."
)
