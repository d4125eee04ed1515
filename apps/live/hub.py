"""Distribute live events in one web process: from one LISTEN connection to all its streams, in memory.

A notice is only a hint. A stream compares numbers and reads the rows if one is missing. So lost notices, large
bodies and a restart of PostgreSQL are all handled in the same way.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import structlog
from django.db import connections
from procrastinate.contrib.django.utils import connector_params

from apps.auth.mailing import access_notices as access
from apps.background.database_errors import first_line
from apps.live import subjects
from apps.live.events import CHANNEL

logger = structlog.get_logger(__name__)

HEARTBEAT = 15.0  # seconds between comments on an idle stream
LONGEST_QUEUE = 256  # pending notices at which the stream of a slow client is closed
PROOF_OF_LIFE = 10.0  # seconds without a notice after which the connection is tested
RECONNECT = (0.1, 5.0)  # seconds, first and longest wait


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for a stream. `number` 0 means that it is not numbered: a heartbeat, live progress, or RESYNC."""

    number: int
    frame: bytes  # empty: read the rows
    kind: str = ""


BEAT = Notice(0, b":\n\n", "beat")
RESYNC = Notice(0, b"", "resync")  # Notices may have been missed: read the rows.


def frame(number: int | None, kind: str, body: str) -> bytes:
    """Return one server-sent event; the JSON contains no line breaks."""
    place = f"id: {number}\n" if number is not None else ""
    return f"{place}event: {kind}\ndata: {body}\n\n".encode()


class Subscription:
    """A stream's inbox, created by the task that serves the stream.

    The task is cancelled when the inbox overflows.
    """

    def __init__(self, names: frozenset[UUID] = frozenset()) -> None:
        self.names = names  # ids of the user, session, key and org for which it was opened
        self.access_changed = False
        self._inbox: deque[Notice] = deque()
        self._arrived = asyncio.Event()
        self._server = asyncio.current_task()
        self.closed = False
        self.too_slow = False  # The client is too slow; it reconnects and resumes.
        self.beat_at = time.monotonic() + HEARTBEAT * random.uniform(0.5, 1)  # noqa: S311 - spreads load

    def put(self, notice: Notice) -> None:
        if len(self._inbox) < LONGEST_QUEUE:
            self._inbox.append(notice)
            self._arrived.set()
        elif not self.too_slow and self._server is not None:
            self.too_slow = True
            self._server.cancel()  # The task waits for the client to read.

    def recheck_access(self) -> None:
        """Tell the stream to check its access again."""
        self.access_changed = True
        self._arrived.set()

    def close(self) -> None:
        """The client has disconnected."""
        self.closed = True
        self._arrived.set()

    async def take(self) -> list[Notice] | None:
        """Return the received notices; waits for at least one, or for a change of access. None once closed."""
        await self._arrived.wait()
        self._arrived.clear()
        if self.closed:
            return None
        found = list(self._inbox)
        self._inbox.clear()
        return found


class Hub:
    """Belongs to one event loop; starts listening with the first subscription."""

    def __init__(self) -> None:
        self._followers: dict[UUID, set[Subscription]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = asyncio.Event()

    @contextmanager
    def follow(self, key: UUID, names: frozenset[UUID] = frozenset()) -> Iterator[Subscription]:
        """Subscribe to this subject, or this org, for `names`."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._beat())]
        mine = Subscription(names)
        self._followers.setdefault(key, set()).add(mine)
        try:
            yield mine
        finally:
            others = self._followers[key]
            others.discard(mine)
            if not others:
                del self._followers[key]

    async def close(self) -> None:
        """Stop listening; all streams end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for follower in self._everyone():
            follower.close()

    async def listening(self) -> None:
        """Wait until notices are received here; rows written before may have to be read."""
        await self._listening.wait()

    def deliver(self, payload: str) -> None:
        """Pass one notice to the streams of its subject and its org."""
        org, key, number, org_number, kind, body = payload.split("|", 5)
        of_subject = self._followers.get(UUID(key))
        if of_subject:
            notice = Notice(int(number), frame(int(number), kind, body) if body else b"", kind)
            for follower in of_subject:
                follower.put(notice)
        of_org = self._followers.get(UUID(org))
        if of_org and (notice_of_org := _for_org(kind, org_number, body)):
            for follower in of_org:
                follower.put(notice_of_org)

    def recheck_access(self, payload: str) -> None:
        """Tell the streams that were opened for this id to check their access."""
        name = UUID(payload)
        for follower in self._everyone():
            if name in follower.names:
                follower.recheck_access()

    async def _listen(self) -> None:
        first, longest = RECONNECT
        wait = first
        while True:
            try:
                async with await _connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    await connection.execute(f"LISTEN {access.CHANNEL}")
                    self._listening.set()
                    self._resync()
                    wait = first
                    await self._relay(connection)
            except (psycopg.Error, OSError) as error:
                self._listening.clear()
                logger.warning("event hub disconnected", error=first_line(error))
            await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - spreads load
            wait = min(wait * 2, longest)

    async def _relay(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Run until the connection breaks. An idle one is tested, because a dead peer sends nothing."""
        while True:
            async for notice in connection.notifies(timeout=PROOF_OF_LIFE):
                if notice.channel == access.CHANNEL:
                    self.recheck_access(notice.payload)
                else:
                    self.deliver(notice.payload)
            await connection.execute("SELECT 1")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for follower in self._everyone():
                if follower.beat_at <= now:
                    follower.beat_at = now + HEARTBEAT
                    follower.put(BEAT)

    def _resync(self) -> None:
        for follower in self._everyone():
            follower.put(RESYNC)

    def _everyone(self) -> list[Subscription]:
        return [one for followers in self._followers.values() for one in followers]


def _for_org(kind: str, org_number: str, body: str) -> Notice | None:
    """The org's stream has numbered events, and live events that are not stored."""
    if org_number:
        number = int(org_number)
        return Notice(number, frame(number, kind, body) if body else b"", kind)
    if subjects.is_live_only(kind) and body:
        return Notice(0, frame(None, kind, body), kind)
    return None


async def _connect() -> psycopg.AsyncConnection[Any]:
    """Connect directly, not from the pool: LISTEN belongs to one connection."""
    parameters = {**connector_params(connections["default"].alias), "autocommit": True}
    parameters["application_name"] = "drover-events"
    return await psycopg.AsyncConnection.connect(
        **{name: value for name, value in parameters.items() if name != "pool"}
    )
