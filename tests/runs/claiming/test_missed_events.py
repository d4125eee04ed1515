"""A client that requests many missed events uses a limited amount of memory of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from apps.live import streams
from apps.live.feeds import MAX_ROWS, Backlog, OrgFeed
from apps.live.frames import Frame
from apps.runs.models import Feed
from tests.world import make_world

LARGE_BODY = "x" * 7000


class EndlessFeed(OrgFeed):
    """The stream of an org with an endless number of stored events."""

    def __init__(self, org_id: UUID) -> None:
        super().__init__(org_id, org_id)
        self.read_count = 0

    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        self.read_count += 1
        if self.read_count > 100:
            raise AssertionError("the whole backlog is read")
        return [(after + n, "run", LARGE_BODY) for n in range(1, MAX_ROWS + 1)]


def test_too_many_missed_events_are_replaced_by_the_current_state(committed_db: None) -> None:
    world = make_world()
    with world.scope():
        Feed.unscoped.create(org=world.org, sequence=10**9)
    feed = EndlessFeed(world.org.pk)

    async def catch_up() -> Backlog:
        return await streams.Streams()._read_whole_backlog(feed, 1)

    backlog = asyncio.run(catch_up())
    assert backlog.frames == (Frame(10**9, "hello", '{"sequence":1000000000}'),)
    assert feed.read_count <= streams.MAX_BACKLOG // (MAX_ROWS * len(LARGE_BODY)) + 1
