"""Server-sent events of an org, and of each kind of subject, as a plain ASGI application.

A stream subscribes first, then reads the rows after the client's Last-Event-ID, then drops notices that it has
already sent: no event is lost or sent twice, whatever reconnects. An open stream holds no database connection;
each read is a short unit in a small thread pool.
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
from apps.live.hub import BEAT, Hub, Notice, Subscription
from apps.live.limits import StreamLimits
from apps.live.subjects import Subject
from apps.orgs import credentials
from apps.orgs.exceptions import NotFound, OrgClosed, PermissionMissing
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

MAX_CAUGHT_UP = 16 * 1024 * 1024  # bytes of missed events kept in memory for one client
RETRY = b"retry: 1000\n\n"  # milliseconds that an EventSource waits before it reconnects

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
class Opening:
    """A permitted stream: what it follows, from which number, and for which principal."""

    feed: EventFeed
    last_seen: int | None
    credential: credentials.Credential
    request: HttpRequest
    asked: Wanted

    @property
    def org_id(self) -> UUID:
        return credentials.org_id_of(self.credential)

    @property
    def names(self) -> frozenset[UUID]:
        """The ids for which it was opened: when the access of one of them changes, it is checked at once."""
        mine = self.credential
        own = mine.key_id if isinstance(mine, credentials.KeyCredential) else mine.session_id
        return frozenset({self.org_id, mine.user_id, own})

    def still_allowed(self) -> bool:
        """Whether the member, session or key still has access, also to the subject, which may have moved to
        another domain.

        A key is read again, because it may have been revoked.
        """
        try:
            if isinstance(self.credential, credentials.KeyCredential):
                authentication.read_credential(self.request)
            with org_scope(self.org_id):
                feed_for(_check(self.credential), self.asked)
        except (APIException, PermissionMissing, OrgClosed, NotFound, Problem):
            return False
        except OperationalError:
            return True  # No events arrive while the database is unavailable; check again later.
        return True


ORG = "/api/v1/events"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The target of a path: one subject of a kind, or the whole org if `subject` is None."""

    subject: Subject | None = None
    key: UUID | None = None


def wanted(path: str) -> Wanted | None:
    """Return the target of this path; None if it is not a stream."""
    if path == ORG:
        return Wanted()
    for subject in subjects.all_subjects():
        if found := subject.path.fullmatch(path):
            return Wanted(subject, UUID(found["key"]))
    return None


def open_stream(request: HttpRequest, asked: Wanted) -> Opening:
    """Read the credential, check the permission, find the target.

    Raises exceptions that become problem responses.
    """
    credential = tickets.read_credential(request)
    with org_scope(credentials.org_id_of(credential)):
        feed = feed_for(_check(credential), asked)
    return Opening(feed, last_event_id(request), credential, request, asked)


def feed_for(principal: Principal, asked: Wanted) -> EventFeed:
    """Return the stream of a subject, or of the org. Call it inside the org's scope.

    Raises NotFound, and 403 if it includes more than the principal's domain.
    """
    if asked.subject is None or asked.key is None:
        if principal.only_domain is not None:
            message = "This key is limited to one domain: follow its runs one by one."
            raise Problem(403, message, "domain_only")
        org_id = principal.require_org()
        return OrgFeed(org_id, org_id)
    feed: EventFeed = asked.subject.feed(principal, asked.key)
    return feed


def last_event_id(request: HttpRequest) -> int | None:
    """Return the last number that the client received, from the header or `?last_event_id=`.

    Raises 400 if it is invalid.
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


def missed(feed: EventFeed, last_seen: int | None) -> Backlog:
    return feed.begin() if last_seen is None else feed.after(last_seen)


class Streams:
    """The ASGI application. Pass it only GET requests, with the result of `wanted` for their path."""

    def __init__(self) -> None:
        self._hub: Hub | None = None
        self.limits = StreamLimits()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send, asked: Wanted) -> None:
        request = ASGIRequest(dict(scope), io.BytesIO())
        try:
            self.limits.refuse_when_full()
            opening = await self._unit(lambda: open_stream(request, asked))
            place = ExitStack()
            place.enter_context(
                self.limits.take(member=opening.credential.user_id, org=opening.org_id)
            )
        except (
            Exception
        ) as error:  # outermost handler of the request: the exception becomes a response
            await _answer_problem(error, send)
            return
        with place:
            await self._stream(opening, receive, send)

    @property
    def hub(self) -> Hub:
        if self._hub is None:
            self._hub = Hub()
        return self._hub

    async def close(self) -> None:
        """End every stream; clients resume at another process."""
        if self._hub is not None:
            await self._hub.close()
        self._threads.shutdown(wait=False)

    async def _stream(self, opening: Opening, receive: Receive, send: Send) -> None:
        with self.hub.follow(opening.feed.key, opening.names) as inbox:
            watch = asyncio.create_task(_until_gone(receive, inbox))
            try:
                await _first_of(self.hub.listening(), watch)
                if inbox.closed:  # The client disconnected before the database responded.
                    return
                first = await self._all_missed(opening.feed, opening.last_seen)
                if first.ended and not first.frames:
                    await _answer_nothing_more(send)
                    return
                await _begin(send, first)
                if not first.ended:
                    await self._follow(opening, inbox, first.last, send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            except asyncio.CancelledError:
                if not inbox.too_slow:
                    raise
                logger.info("stream closed: client too slow", stream=str(opening.feed.key))
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    async def _follow(self, opening: Opening, inbox: Subscription, seen: int, send: Send) -> None:
        """Send what arrives until the subject has ended, the client has disconnected or lost its access."""
        every = settings.STREAM_RECHECK.total_seconds()
        check_at = time.monotonic() + every
        while (notices := await inbox.take()) is not None:
            frames, seen, ended = await self._unseen(opening.feed, notices, seen)
            if frames:
                body = b"".join(frames)
                await send({"type": "http.response.body", "body": body, "more_body": True})
            if ended:
                return
            if time.monotonic() > check_at or inbox.access_changed:
                inbox.access_changed = False
                check_at = time.monotonic() + every
                if not await self._unit(opening.still_allowed):
                    return

    async def _unseen(
        self, feed: EventFeed, notices: Iterable[Notice], seen: int
    ) -> tuple[list[bytes], int, bool]:
        frames: list[bytes] = []
        ended = False
        for notice in notices:
            if notice is BEAT or (notice.number == 0 and notice.frame):
                frames.append(notice.frame)
            elif is_next(notice, seen):
                frames.append(notice.frame)
                seen, ended = notice.number, notice.kind == "end"
            elif notice.number == 0 or notice.number > seen:
                found = await self._all_missed(feed, seen)
                frames += found.frames
                seen, ended = found.last, found.ended
        return frames, seen, ended

    async def _all_missed(self, feed: EventFeed, seen: int | None) -> Backlog:
        """Return everything after `seen`, in several reads if needed; if it is too much, the current state instead."""
        frames: list[bytes] = []
        held = 0
        while True:
            found = await self._unit(partial(missed, feed, seen))
            frames += found.frames
            held += sum(map(len, found.frames))
            if held > MAX_CAUGHT_UP:
                return await self._unit(feed.begin)
            if seen is None or found.ended or found.last <= seen:
                return Backlog(tuple(frames), found.last, found.ended)
            seen = found.last

    async def _unit(self, work: Callable[[], T]) -> T:
        """Run database work in a thread; its connection is returned to the pool at once."""

        def unit() -> T:
            try:
                return work()
            finally:
                connection.close()

        return await asyncio.get_running_loop().run_in_executor(self._threads, unit)


def _check(credential: credentials.Credential) -> Principal:
    _, principal = credentials.load_principal(credential)
    principal.require(Permission.READ)
    return principal


async def _until_gone(receive: Receive, inbox: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    inbox.close()


async def _first_of(wanted: Coroutine[Any, Any, None], other: asyncio.Task[None]) -> None:
    """Wait until the first result is ready, or until `other` is over."""
    waiting = asyncio.create_task(wanted)
    try:
        await asyncio.wait((waiting, other), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _begin(send: Send, first: Backlog) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
    body = b"".join((RETRY, *first.frames))
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _answer_nothing_more(send: Send) -> None:
    """Respond with 204, which tells an EventSource to stop reconnecting."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _answer_problem(error: Exception, send: Send) -> None:
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
