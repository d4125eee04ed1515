"""Responses that wait for slow work. The work holds no transaction and no database connection.

A handler may not call a child process or a remote server inside the org's scope. The call would hold the transaction
and the pooled connection for a long time. Instead, the handler reads what the call needs and returns `SlowResponse`:

    return SlowResponse(lambda: check(kind, settings), then=lambda result: Response(...))

`OrgView` leaves the scope, returns the connection, runs `work`, and runs `then` in a new, short scope. The data
that `work` used may have changed meanwhile. So a `then` that changes data locks its object, reads it again, and
compares the version. It must set `once=True`, so that its Idempotency-Key is stored (apps.web.idempotency). A `then`
that only shows the result checks the permissions again. For this check the action returns a `SlowCall`
(apps.orgs.slow_calls), which `OrgView.wait_for` turns into a `SlowResponse`.
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
    """Two steps of a response: `work` runs without a database, and `then` gets its result inside the org's scope.

    `then` may return another SlowResponse, if more slow work follows.
    """

    work: Callable[[], Any]
    then: Callable[[Any], Response | SlowResponse]
    # True if `then` changes data. For requests with the same Idempotency-Key, `then` runs only once.
    once: bool = False
    release: Callable[[], None] | None = None  # called after an error, outside every scope


def finish(
    answer: Response | SlowResponse, scope: Callable[[], AbstractContextManager[None]]
) -> Response:
    """Run the slow work, and return the response. Call this outside every scope; `scope` opens a new one."""
    if not isinstance(answer, SlowResponse):
        return answer
    try:
        return _run_steps(answer, scope)
    except BaseException:
        if answer.release:
            answer.release()
        raise


def _run_steps(answer: SlowResponse, scope: Callable[[], AbstractContextManager[None]]) -> Response:
    next_answer: Response | SlowResponse = answer
    while isinstance(next_answer, SlowResponse):
        if not connection.in_atomic_block:
            connection.close()
        result = next_answer.work()
        with scope():
            next_answer = next_answer.then(result)
    return next_answer
