"""Send the events of an org or of one subject to a client, over either transport (`apps.live.consumers`).

A stream first subscribes, then reads the rows after the last number that the client received, and then ignores notices
of events that it has already sent. So no event is lost or sent twice, even if the client or the database connection
reconnects. An open stream holds no database connection. Each read is short, and runs in a small thread pool.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from enum import Enum
from functools import partial
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import connection

from apps.live.feeds import Backlog, EventFeed, is_next
from apps.live.frames import Frame
from apps.live.hub import Hub, Notice, Subscription
from apps.live.limits import StreamLimits
from apps.live.opening import PermittedStream

logger = structlog.get_logger(__name__)

T = TypeVar("T")

MAX_BACKLOG = 16 * 1024 * 1024  # characters of missed events held in memory for one client


class Ending(Enum):
    """Why Drover ends a stream."""

    COMPLETE = "no more events will follow"
    ACCESS_ENDED = "the client lost its access"
    SHUTDOWN = "this process ends"


class ClientTooSlow(Exception):
    """The client did not read for STREAM_SEND_SECONDS. It can reconnect and resume."""


class ClientLeft(Exception):
    """The client has disconnected."""


class StreamClient(ABC):
    """The client of one stream. Sending raises ClientTooSlow or ClientLeft."""

    @abstractmethod
    async def refuse(self, error: Exception) -> None:
        """Answer that the stream cannot be opened."""

    @abstractmethod
    async def read_last_seen(self, stream: PermittedStream) -> int | None:
        """Return the number of the last event that the client received, or None for a new client."""

    @abstractmethod
    async def begin(self, backlog: Backlog) -> None:
        """Send the first frames."""

    @abstractmethod
    async def send_frames(self, frames: Sequence[Frame]) -> None:
        """Send new frames."""

    @abstractmethod
    async def end(self, ending: Ending) -> None:
        """Tell the client that the stream ends."""

    @abstractmethod
    async def drop(self) -> None:
        """Close the connection of a client that does not read."""


def read_backlog(feed: EventFeed, last_seen: int | None) -> Backlog:
    return feed.first_backlog() if last_seen is None else feed.backlog_after(last_seen)


class Streams:
    """All open streams of this process."""

    def __init__(self) -> None:
        self._hub: Hub | None = None
        self.limits = StreamLimits()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="stream")

    @property
    def hub(self) -> Hub:
        if self._hub is None:
            self._hub = Hub()
        return self._hub

    async def close(self) -> None:
        """End every stream. The clients reconnect to another process and resume."""
        if self._hub is not None:
            await self._hub.close()
        self._threads.shutdown(wait=False)

    async def serve(self, client: StreamClient, open_stream: Callable[[], PermittedStream]) -> None:
        """Open a stream and send its events until it ends. Cancel this when the client disconnects."""
        try:
            self.limits.require_below_process_limit()
            stream = await self._run_in_thread(open_stream)
            counted_stream = ExitStack()
            counted_stream.enter_context(
                self.limits.count_open_stream(member=stream.credential.user_id, org=stream.org_id)
            )
        except Exception as error:  # This is the outermost handler of the request.
            await client.refuse(error)
            return
        with counted_stream:
            try:
                await self._send_events(stream, client)
            except ClientTooSlow:
                logger.info("stream closed: client too slow", stream=str(stream.feed.key))
                await client.drop()

    async def _send_events(self, stream: PermittedStream, client: StreamClient) -> None:
        last_seen = await client.read_last_seen(stream)
        with self.hub.subscribe(stream.feed.key, stream.access_ids) as inbox:
            try:
                await self.hub.wait_until_listening()
                first = await self._read_whole_backlog(stream.feed, last_seen)
                await client.begin(first)
                ending = Ending.COMPLETE
                if not first.ended:
                    ending = await self._send_live_events(stream, inbox, first.last, client)
                await client.end(ending)
            except asyncio.CancelledError:
                if not inbox.too_slow:
                    raise
                raise ClientTooSlow from None

    async def _send_live_events(
        self, stream: PermittedStream, inbox: Subscription, last_seen: int, client: StreamClient
    ) -> Ending:
        """Send new events until the stream ends, and return why it ends.

        Access is checked before events are sent. PostgreSQL delivers notices in the order of commits, so an event that
        was committed after the access had ended is not sent. An event without its body in the notice is read from the
        database; it may be sent until the notice of the change has arrived, a moment later.
        """
        interval = settings.STREAM_RECHECK.total_seconds()
        check_at = time.monotonic() + interval
        while (notices := await inbox.take()) is not None:
            frames, last_seen, ended = await self._new_frames(stream.feed, notices, last_seen)
            if time.monotonic() > check_at or inbox.access_changed:
                inbox.access_changed = False
                check_at = time.monotonic() + interval
                if not await self._run_in_thread(stream.is_still_allowed):
                    return Ending.ACCESS_ENDED
            if frames:
                await client.send_frames(frames)
            if ended:
                return Ending.COMPLETE
        return Ending.SHUTDOWN

    async def _new_frames(
        self, feed: EventFeed, notices: Iterable[Notice], last_seen: int
    ) -> tuple[list[Frame], int, bool]:
        frames: list[Frame] = []
        ended = False
        for notice in notices:
            if notice.number == 0 and notice.frame:
                frames.append(notice.frame)
            elif notice.frame and is_next(notice, last_seen):
                frames.append(notice.frame)
                last_seen, ended = notice.number, notice.kind == "end"
            elif notice.number == 0 or notice.number > last_seen:
                backlog = await self._read_whole_backlog(feed, last_seen)
                frames += backlog.frames
                last_seen, ended = backlog.last, backlog.ended
        return frames, last_seen, ended

    async def _read_whole_backlog(self, feed: EventFeed, last_seen: int | None) -> Backlog:
        """Return all events after `last_seen`. If they are too large, return the first frames for a new client."""
        frames: list[Frame] = []
        size = 0
        while True:
            backlog = await self._run_in_thread(partial(read_backlog, feed, last_seen))
            frames += backlog.frames
            size += sum(len(frame.body) for frame in backlog.frames)
            if size > MAX_BACKLOG:
                return await self._run_in_thread(feed.first_backlog)
            if last_seen is None or backlog.ended or backlog.last <= last_seen:
                return Backlog(tuple(frames), backlog.last, backlog.ended)
            last_seen = backlog.last

    async def _run_in_thread(self, work: Callable[[], T]) -> T:
        """Run database work in a thread, and return its connection to the pool at once."""

        def work_and_close() -> T:
            try:
                return work()
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self._threads, work_and_close)
