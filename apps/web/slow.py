"""Answers that wait for something slow, without holding a transaction or a connection meanwhile.

A handler that must ask a child process or a server far away cannot do so inside the org's scope: its transaction and
pooled connection would be held for as long as the other side likes. It reads what it needs and returns `Slowly`:

    return Slowly(lambda: ask(kind, settings), then=lambda answer: Response(...))

`OrgView` leaves the scope, gives the connection back, runs `work`, and runs `then` in a fresh, short scope. What `work`
was given may have changed by then: a `then` that changes something looks its object up again, locks it, and compares
the version. It must say `once=True`, so that an Idempotency-Key is kept for it (apps.web.idempotency). One that only
shows the answer checks the rights again: a verb that finds out what to ask answers a `Question` (apps.orgs.questions),
and `OrgView.wait_for` does both.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from rest_framework.response import Response


@dataclass(frozen=True)
class Slowly:
    """The rest of an answer: `work` without a database, then `then` with its result inside the org's scope."""

    work: Callable[[], Any]
    then: Callable[[Any], Response]
    once: bool = False  # `then` makes something: with an Idempotency-Key it happens once
    release: Callable[[], None] | None = None  # called after an error, outside every scope


def finish(
    answer: Response | Slowly, scope: Callable[[], AbstractContextManager[None]]
) -> Response:
    """The response, after the slow part. Call it outside every scope; `scope` opens a fresh one."""
    if not isinstance(answer, Slowly):
        return answer
    try:
        return _finish(answer, scope)
    except BaseException:
        if answer.release:
            answer.release()
        raise


def _finish(answer: Slowly, scope: Callable[[], AbstractContextManager[None]]) -> Response:
    if not connection.in_atomic_block:
        connection.close()
    result = answer.work()
    with scope():
        return answer.then(result)
