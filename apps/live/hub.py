"""Distribute live events inside one web process, from one LISTEN connection to all streams.

A notice is only a hint. A stream compares the numbers of the notices, and reads the rows from the database if a number
is missing. This also covers lost notices, large bodies and a restart of PostgreSQL.
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
from django.conf import settings
from django.db import connections
from procrastinate.contrib.django.utils import connector_params
from psycopg.conninfo import conninfo_to_dict

from apps.auth.mailing import access_notices as access
from apps.background.database_errors import first_line
from apps.live import subjects
from apps.live.events import CHANNEL
from apps.live.frames import HEARTBEAT_FRAME, Frame

logger = structlog.get_logger(__name__)

HEARTBEAT_INTERVAL = 15.0  # seconds between two heartbeats on a stream
MAX_PENDING_NOTICES = 256  # With more pending notices, the stream of a slow client is closed.
CONNECTION_TEST_AFTER = 10.0  # seconds without a notice
ADDRESS = ("host", "hostaddr", "port", "dbname")  # what a URL without credentials says
RECONNECT_DELAYS = (0.1, 5.0)  # seconds: the first delay and the longest


@dataclass(frozen=True, slots=True)
class Notice:
    """A message for a stream. `number` is 0 for messages without a number: heartbeats, live progress, and RESYNC."""

    number: int
    frame: Frame | None  # None if the stream has to read the rows
    kind: str = ""


HEARTBEAT = Notice(0, HEARTBEAT_FRAME, HEARTBEAT_FRAME.kind)
RESYNC = Notice(0, None, "resync")  # Notices may be lost, so the stream has to read the rows.


class Subscription:
    """The inbox of one stream. The task that serves the stream creates it, and is cancelled if the inbox overflows."""

    def __init__(self, access_ids: frozenset[UUID] = frozenset()) -> None:
        self.access_ids = access_ids  # ids of the user, session, API key and org of the stream
        self.access_changed = False
        self._inbox: deque[Notice] = deque()
        self._arrived = asyncio.Event()
        self._serving_task = asyncio.current_task()
        self.closed = False
        self.too_slow = False  # A client that is too slow has to reconnect and resume.
        self.heartbeat_at = time.monotonic() + HEARTBEAT_INTERVAL * random.uniform(0.5, 1)  # noqa: S311 - spreads load

    def put(self, notice: Notice) -> None:
        if len(self._inbox) < MAX_PENDING_NOTICES:
            self._inbox.append(notice)
            self._arrived.set()
        elif not self.too_slow and self._serving_task is not None:
            self.too_slow = True
            self._serving_task.cancel()  # The task is waiting until the client reads.

    def recheck_access(self) -> None:
        """Make the stream check its access again."""
        self.access_changed = True
        self._arrived.set()

    def close(self) -> None:
        """End the stream."""
        self.closed = True
        self._arrived.set()

    async def take(self) -> list[Notice] | None:
        """Wait for notices or for a change of access, and return the notices. Returns None after `close`."""
        await self._arrived.wait()
        self._arrived.clear()
        if self.closed:
            return None
        notices = list(self._inbox)
        self._inbox.clear()
        return notices


class Hub:
    """The streams of one event loop. The hub starts to listen at the first subscription."""

    def __init__(self) -> None:
        self._subscriptions: dict[UUID, set[Subscription]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = asyncio.Event()

    @contextmanager
    def subscribe(
        self, key: UUID, access_ids: frozenset[UUID] = frozenset()
    ) -> Iterator[Subscription]:
        """Subscribe to the notices of a subject or an org with this key."""
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._listen()),
                asyncio.create_task(self._send_heartbeats()),
            ]
        subscription = Subscription(access_ids)
        self._subscriptions.setdefault(key, set()).add(subscription)
        try:
            yield subscription
        finally:
            subscriptions = self._subscriptions[key]
            subscriptions.discard(subscription)
            if not subscriptions:
                del self._subscriptions[key]

    async def close(self) -> None:
        """Stop listening, and end all streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for subscription in self._all_subscriptions():
            subscription.close()

    async def wait_until_listening(self) -> None:
        """Wait until the hub receives notices. The caller has to read rows that were written before that."""
        await self._listening.wait()

    def deliver(self, payload: str) -> None:
        """Put one notice into the inboxes of its subject and its org."""
        org, key, number, org_number, kind, body = payload.split("|", 5)
        subject_subscriptions = self._subscriptions.get(UUID(key))
        if subject_subscriptions:
            notice = _numbered_notice(int(number), kind, body)
            for subscription in subject_subscriptions:
                subscription.put(notice)
        org_subscriptions = self._subscriptions.get(UUID(org))
        if org_subscriptions and (org_notice := _org_notice(kind, org_number, body)):
            for subscription in org_subscriptions:
                subscription.put(org_notice)

    def recheck_access(self, payload: str) -> None:
        """Make the streams that were opened for this id check their access again."""
        access_id = UUID(payload)
        for subscription in self._all_subscriptions():
            if access_id in subscription.access_ids:
                subscription.recheck_access()

    async def _listen(self) -> None:
        shortest, longest = RECONNECT_DELAYS
        delay = shortest
        while True:
            try:
                async with await connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    await connection.execute(f"LISTEN {access.CHANNEL}")
                    self._listening.set()
                    self._resync_all()
                    delay = shortest
                    await self._receive_notices(connection)
            except (psycopg.Error, OSError) as error:
                self._listening.clear()
                logger.warning("event hub disconnected", error=first_line(error))
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - spreads load
            delay = min(delay * 2, longest)

    async def _receive_notices(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Deliver notices until the connection breaks. Test an idle connection, because a dead server sends nothing."""
        while True:
            async for notice in connection.notifies(timeout=CONNECTION_TEST_AFTER):
                if notice.channel == access.CHANNEL:
                    self.recheck_access(notice.payload)
                else:
                    self.deliver(notice.payload)
            await connection.execute("SELECT 1")

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for subscription in self._all_subscriptions():
                if subscription.heartbeat_at <= now:
                    subscription.heartbeat_at = now + HEARTBEAT_INTERVAL
                    subscription.put(HEARTBEAT)

    def _resync_all(self) -> None:
        for subscription in self._all_subscriptions():
            subscription.put(RESYNC)

    def _all_subscriptions(self) -> list[Subscription]:
        return [subscription for group in self._subscriptions.values() for subscription in group]


def _org_notice(kind: str, org_number: str, body: str) -> Notice | None:
    """Return the notice for the org's stream, or None if only the subject's stream gets the event."""
    if org_number:
        return _numbered_notice(int(org_number), kind, body)
    if subjects.is_live_only(kind) and body:
        return Notice(0, Frame(None, kind, body), kind)
    return None


def _numbered_notice(number: int, kind: str, body: str) -> Notice:
    return Notice(number, Frame(number, kind, body) if body else None, kind)


async def connect() -> psycopg.AsyncConnection[Any]:
    """Open a connection outside the pool, because LISTEN needs its own connection.

    Behind PgBouncer in transaction mode, LISTEN would succeed and no event would arrive.
    """
    parameters = {**connector_params(connections["default"].alias), "autocommit": True}
    if settings.EVENTS_DATABASE_URL:
        address = conninfo_to_dict(settings.EVENTS_DATABASE_URL)
        parameters.update({name: address[name] for name in ADDRESS if name in address})
    parameters["application_name"] = "drover-events"
    return await psycopg.AsyncConnection.connect(
        **{name: value for name, value in parameters.items() if name != "pool"}
    )
