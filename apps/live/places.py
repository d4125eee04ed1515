"""Places for streams in one web process: so many for a member, for an org and for all.

A place is taken between the credential and the first read and given back when the stream ends, however it ends. Only
the event loop takes and gives, so nothing can come between looking and taking. Several web processes count each their
own streams: with n of them the limits are n times as high.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from apps.web.problems import Problem

WAIT = "10"  # seconds until trying again makes sense


class Places:
    def __init__(self) -> None:
        self._taken: Counter[UUID] = Counter()
        self.count = 0

    @contextmanager
    def take(self, *, member: UUID, org: UUID) -> Iterator[None]:
        """A place in the name of a member (by user id, whose API keys count too) and of the org. Raises Problem."""
        self.refuse_when_full()
        self._refuse_too_many(member, settings.STREAMS_PER_MEMBER, MEMBER)
        self._refuse_too_many(org, settings.STREAMS_PER_ORG, ORG)
        self._change(1, member, org)
        try:
            yield
        finally:
            self._change(-1, member, org)

    def refuse_when_full(self) -> None:
        """Raises Problem when no stream of anybody fits in this process."""
        if self.count >= settings.STREAMS_PER_PROCESS:
            message = "This server holds as many live streams as it can; try again shortly."
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
    "You hold {taken} live streams, as many as a member may, API keys of yours included. Close pages, or stop"
    " programs, that follow runs; then try again."
)
ORG = (
    "Your organization holds {taken} live streams, as many as it may. Ask members to close pages, or stop programs,"
    " that follow runs; then try again."
)
