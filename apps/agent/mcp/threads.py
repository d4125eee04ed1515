"""The threads in which the calls of tools run, and limits so that slow calls of some orgs do not delay other orgs.

A call uses its thread until its work has ended, also if the program has closed its connection before.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection

from apps.web.problems import BUSY, Problem

ResultT = TypeVar("ResultT")

THREADS = 16
MAX_CALLS_PER_ORG = 4  # at once, in each process
KEPT_FREE = 8  # threads that are kept for orgs without another call in this process
RETRY_AFTER = {"Retry-After": "1"}


class CallThreads:
    """The threads of a process. There is a free thread for each call that `begin` has returned."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="mcp-call")
        self._calls_of_org: Counter[UUID] = Counter()
        self._lock = threading.Lock()

    def begin(self, org_id: UUID) -> OpenCall:
        """Begin a call of the org. Raises Problem 429 if the org has too many calls, and 503 if all threads are used."""
        with self._lock:
            own, all_calls = self._calls_of_org[org_id], self._calls_of_org.total()
            if own >= MAX_CALLS_PER_ORG:
                raise _too_many_calls(own, "which is the limit")
            if own and all_calls >= THREADS - KEPT_FREE:
                raise _too_many_calls(own, "and the server is busy")
            if all_calls >= THREADS:
                raise busy()
            self._calls_of_org[org_id] += 1
        return OpenCall(self._pool, lambda: self._end(org_id))

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _end(self, org_id: UUID) -> None:
        with self._lock:
            self._calls_of_org[org_id] -= 1
            if not self._calls_of_org[org_id]:
                del self._calls_of_org[org_id]


class OpenCall:
    """A call that is counted until its request and its work have ended. Then `end` is called once."""

    def __init__(self, pool: ThreadPoolExecutor, end: Callable[[], None]) -> None:
        self._pool, self._end = pool, end
        self._work: Future[Any] | None = None
        self._is_closed = False

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Run the work of the call in its thread. Raises RuntimeError after `close`, because the thread is not free then."""
        if self._is_closed:
            raise RuntimeError("the request of this call has ended")
        future = self._pool.submit(return_connection_after, work)
        self._work = future
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Say that the request has ended, with or without an answer."""
        self._is_closed = True
        if self._work is None:
            self._end()
        else:
            self._work.add_done_callback(lambda _: self._end())


def return_connection_after(work: Callable[[], ResultT]) -> ResultT:
    """Do the work, and return the thread's database connection to the pool at once."""
    try:
        return work()
    finally:
        connection.close()


def busy() -> Problem:
    """Return the answer to a call for which there is no thread now."""
    message = "The MCP server is busy: try again in a second."
    return Problem(503, message, BUSY, headers=RETRY_AFTER)


def _too_many_calls(count: int, reason: str) -> Problem:
    calls = f"{count} {'call' if count == 1 else 'calls'}"
    message = f"Your organization has {calls} in progress, {reason}: try again in a second."
    return Problem(429, message, "too_many_calls", headers=RETRY_AFTER)
