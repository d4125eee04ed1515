"""Responses that wait for something slow, without holding a transaction or a connection meanwhile.

A handler that calls a child process or a remote server must not do so inside the org's scope, because its transaction
and pooled connection would be held meanwhile. Instead it reads what it needs and returns `SlowResponse`:

    return SlowResponse(lambda: ask(kind, settings), then=lambda answer: Response(...))

`OrgView` leaves the scope, returns the connection, runs `work`, and runs `then` in a new, short scope. The data
that `work` used may have changed meanwhile: a `then` that changes something reads its object again, locks it, and
compares the version. It must set `once=True`, so that its Idempotency-Key is stored (apps.web.idempotency). A `then`
that only shows the result checks the permissions again: the action returns a `SlowCall` (apps.orgs.slow_calls), and
`OrgView.wait_for` does both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from rest_framework.response import Response


@dataclass(frozen=True)
class SlowResponse:
    """The rest of a response: `work` without a database, then `then` with its result inside the org's scope."""

    work: Callable[[], Any]
    then: Callable[[Any], Response]
    once: bool = False  # whether `then` changes something: with an Idempotency-Key it happens once
    release: Callable[[], None] | None = None  # called after an error, outside every scope


def finish(
    answer: Response | SlowResponse, scope: Callable[[], AbstractContextManager[None]]
) -> Response:
    """Return the response, after the slow part. Call it outside every scope; `scope` opens a new one."""
    if not isinstance(answer, SlowResponse):
        return answer
    try:
        return _finish(answer, scope)
    except BaseException:
        if answer.release:
            answer.release()
        raise


def _finish(answer: SlowResponse, scope: Callable[[], AbstractContextManager[None]]) -> Response:
    if not connection.in_atomic_block:
        connection.close()
    result = answer.work()
    with scope():
        return answer.then(result)
