"""An ASGI application that sends the events of an org or of one subject as server-sent events.

A stream first subscribes, then reads the rows after the client's Last-Event-ID, and then ignores notices of events that
it has already sent. So no event is lost or sent twice, even if the client or the database connection reconnects. An
open stream holds no database connection. Each read is short, and runs in a small thread pool.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import structlog
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import OperationalError, connection
from django.http import HttpRequest
from rest_framework.exceptions import APIException

from apps.live import subjects, tickets
from apps.live.feeds import Backlog, EventFeed, OrgFeed, is_next
from apps.live.hub import HEARTBEAT, Hub, Notice, Subscription
from apps.live.limits import StreamLimits
from apps.live.subjects import Subject
from apps.orgs import credentials
from apps.orgs.exceptions import NotFound, OrgAccessDenied, PermissionMissing
from apps.orgs.http import authentication
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.walls.scope import org_scope
from apps.web.headers import CONTENT_SECURITY_POLICY
from apps.web.problems import Problem, as_problem
from apps.web.wire import JSONRenderer

logger = structlog.get_logger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

MAX_BACKLOG = 16 * 1024 * 1024  # bytes of missed events held in memory for one client
RETRY_FRAME = b"retry: 1000\n\n"  # milliseconds that an EventSource waits before it reconnects

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
)


@dataclass(frozen=True, slots=True)
class PermittedStream:
    """An event stream that the client may read, and the number of the last event that the client received."""

    feed: EventFeed
    last_seen: int | None
    credential: credentials.Credential
    request: HttpRequest
    target: StreamTarget

    @property
    def org_id(self) -> UUID:
        return credentials.org_id_of(self.credential)

    @property
    def access_ids(self) -> frozenset[UUID]:
        """The ids of the org, the user, and the session or key. The stream rechecks its access when one of them changes."""
        credential = self.credential
        if isinstance(credential, credentials.KeyCredential):
            return frozenset({self.org_id, credential.user_id, credential.key_id})
        return frozenset({self.org_id, credential.user_id, credential.session_id})

    def is_still_allowed(self) -> bool:
        """Whether the member, session or key still has access to the subject.

        The subject may have moved to another domain. A key is read again, because it may have been revoked.
        """
        try:
            if isinstance(self.credential, credentials.KeyCredential):
                authentication.read_credential(self.request)
            with org_scope(self.org_id):
                feed_for(_load_principal(self.credential), self.target)
        except (APIException, PermissionMissing, OrgAccessDenied, NotFound, Problem):
            return False
        except OperationalError:
            return (
                True  # No events arrive while the database is unavailable. The next check decides.
            )
        return True


ORG_EVENTS_PATH = "/api/v1/events"


@dataclass(frozen=True, slots=True)
class StreamTarget:
    """What an event stream follows: the object of `subject` with the id `key`, or the whole org if they are None."""

    subject: Subject | None = None
    key: UUID | None = None


def target_of_path(path: str) -> StreamTarget | None:
    """Return the target of this path, or None if it is not the path of a stream."""
    if path == ORG_EVENTS_PATH:
        return StreamTarget()
    for subject in subjects.all_subjects():
        if found := subject.path.fullmatch(path):
            return StreamTarget(subject, UUID(found["key"]))
    return None


def open_stream(request: HttpRequest, target: StreamTarget) -> PermittedStream:
    """Read the credential, check the permission, and find the target's events.

    Raises exceptions that become problem responses.
    """
    credential = tickets.read_credential(request)
    with org_scope(credentials.org_id_of(credential)):
        feed = feed_for(_load_principal(credential), target)
    return PermittedStream(feed, last_event_id(request), credential, request, target)


def feed_for(principal: Principal, target: StreamTarget) -> EventFeed:
    """Return the events of a subject or of the org. Call this inside the org's scope.

    Raises NotFound, and Problem 403 if the events include more than the principal's domain.
    """
    if target.subject is None or target.key is None:
        if principal.only_domain is not None:
            message = "This key is limited to one domain: follow its runs one by one."
            raise Problem(403, message, "domain_only")
        org_id = principal.require_org()
        return OrgFeed(org_id, org_id)
    feed: EventFeed = target.subject.feed(principal, target.key)
    return feed


def last_event_id(request: HttpRequest) -> int | None:
    """Return the last number that the client received, from the header or `?last_event_id=`.

    Raises Problem 400 if it is invalid.
    """
    text = request.headers.get("Last-Event-ID") or request.GET.get("last_event_id")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(
            400,
            "Last-Event-ID must be a number of this stream.",
            "malformed",
            [("last_event_id", "Not a number.", "invalid")],
        )
    return int(text)


def read_backlog(feed: EventFeed, last_seen: int | None) -> Backlog:
    return feed.first_backlog() if last_seen is None else feed.backlog_after(last_seen)


class Streams:
    """The ASGI application. Pass it only GET requests, with the target of their path (`target_of_path`)."""

    def __init__(self) -> None:
        self._hub: Hub | None = None
        self.limits = StreamLimits()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="stream")

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, target: StreamTarget
    ) -> None:
        request = ASGIRequest(dict(scope), io.BytesIO())
        try:
            self.limits.require_below_process_limit()
            stream = await self._run_in_thread(lambda: open_stream(request, target))
            counted_stream = ExitStack()
            counted_stream.enter_context(
                self.limits.count_open_stream(member=stream.credential.user_id, org=stream.org_id)
            )
        except Exception as error:  # This is the outermost handler of the request.
            await _send_problem(error, send)
            return
        with counted_stream:
            await self._serve(stream, receive, send)

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

    async def _serve(self, stream: PermittedStream, receive: Receive, send: Send) -> None:
        with self.hub.subscribe(stream.feed.key, stream.access_ids) as inbox:
            disconnect_task = asyncio.create_task(_close_on_disconnect(receive, inbox))
            try:
                await _wait_for_first(self.hub.wait_until_listening(), disconnect_task)
                if inbox.closed:  # The client disconnected before the database responded.
                    return
                first = await self._read_whole_backlog(stream.feed, stream.last_seen)
                if first.ended and not first.frames:
                    await _send_stream_ended(send)
                    return
                await _send_start(send, first)
                if not first.ended:
                    await self._send_live_events(stream, inbox, first.last, send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            except asyncio.CancelledError:
                if not inbox.too_slow:
                    raise
                logger.info("stream closed: client too slow", stream=str(stream.feed.key))
            finally:
                disconnect_task.cancel()
                with suppress(asyncio.CancelledError):
                    await disconnect_task

    async def _send_live_events(
        self, stream: PermittedStream, inbox: Subscription, last_seen: int, send: Send
    ) -> None:
        """Send new events until the stream has ended, or the client has disconnected or lost its access."""
        interval = settings.STREAM_RECHECK.total_seconds()
        check_at = time.monotonic() + interval
        while (notices := await inbox.take()) is not None:
            frames, last_seen, ended = await self._new_frames(stream.feed, notices, last_seen)
            if frames:
                body = b"".join(frames)
                await send({"type": "http.response.body", "body": body, "more_body": True})
            if ended:
                return
            if time.monotonic() > check_at or inbox.access_changed:
                inbox.access_changed = False
                check_at = time.monotonic() + interval
                if not await self._run_in_thread(stream.is_still_allowed):
                    return

    async def _new_frames(
        self, feed: EventFeed, notices: Iterable[Notice], last_seen: int
    ) -> tuple[list[bytes], int, bool]:
        frames: list[bytes] = []
        ended = False
        for notice in notices:
            if notice is HEARTBEAT or (notice.number == 0 and notice.frame):
                frames.append(notice.frame)
            elif is_next(notice, last_seen):
                frames.append(notice.frame)
                last_seen, ended = notice.number, notice.kind == "end"
            elif notice.number == 0 or notice.number > last_seen:
                backlog = await self._read_whole_backlog(feed, last_seen)
                frames += backlog.frames
                last_seen, ended = backlog.last, backlog.ended
        return frames, last_seen, ended

    async def _read_whole_backlog(self, feed: EventFeed, last_seen: int | None) -> Backlog:
        """Return all events after `last_seen`. If they are too large, return the first frames for a new client."""
        frames: list[bytes] = []
        size = 0
        while True:
            backlog = await self._run_in_thread(partial(read_backlog, feed, last_seen))
            frames += backlog.frames
            size += sum(map(len, backlog.frames))
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


def _load_principal(credential: credentials.Credential) -> Principal:
    _, principal = credentials.load_principal(credential)
    principal.require(Permission.READ)
    return principal


async def _close_on_disconnect(receive: Receive, inbox: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    inbox.close()


async def _wait_for_first(awaited: Coroutine[Any, Any, None], other: asyncio.Task[None]) -> None:
    """Wait until `awaited` or `other` is done."""
    task = asyncio.create_task(awaited)
    try:
        await asyncio.wait((task, other), return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()


async def _send_start(send: Send, first: Backlog) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
    body = b"".join((RETRY_FRAME, *first.frames))
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _send_stream_ended(send: Send) -> None:
    """Respond with 204. An EventSource then stops reconnecting."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _send_problem(error: Exception, send: Send) -> None:
    problem = as_problem(error)
    if problem is None:
        logger.error("stream could not be opened", exc_info=error)
        problem = Problem(503, "The stream could not be opened.", "unavailable")
    answer = problem.response()
    extra: Mapping[str, str] = problem.headers or {}
    headers = [
        (b"content-type", b"application/problem+json"),
        *_HEADERS[1:],
        *((name.lower().encode(), value.encode()) for name, value in extra.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": JSONRenderer().render(answer.data)})
