"""Set the org of a transaction. Row-level security compares it with every row (`apps.orgs.walls.rls`).

A scope is one transaction inside one synchronous function. It sets `app.current_org` with `SET LOCAL`. Never use
`await` inside a scope: two tasks may share a connection, and one task would read rows of the other task's org.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connection, transaction


class NestedOrgScope(Exception):
    """A scope of one org was opened inside the scope of another org."""


class ScopeInAsyncCode(Exception):
    """A scope was opened on an event loop. Open it inside one synchronous function instead."""


_current_org: ContextVar[UUID | None] = ContextVar("current_org", default=None)


@contextmanager
def org_scope(org_id: UUID) -> Iterator[None]:
    """Run one transaction that can read and write rows of this org only.

    Raises NestedOrgScope inside another org's scope and ScopeInAsyncCode on an event loop.
    """
    _refuse_event_loop()
    current = _current_org.get()
    if current == org_id:
        with transaction.atomic():
            yield
        return
    if current is not None:
        raise NestedOrgScope(f"scope of {org_id} opened inside the scope of {current}")
    is_nested = connection.in_atomic_block
    with transaction.atomic():
        _set_local("app.current_org", str(org_id))
        token = _current_org.set(org_id)
        try:
            yield
        finally:
            _current_org.reset(token)
        if is_nested:  # A savepoint does not undo SET LOCAL, so reset it for the outer transaction.
            _set_local("app.current_org", "")


@contextmanager
def user_scope(user_id: UUID) -> Iterator[None]:
    """Run one transaction in which a user can read their memberships and orgs, without the scope of an org."""
    _refuse_event_loop()
    is_nested = connection.in_atomic_block
    with transaction.atomic():
        _set_local("app.current_user", str(user_id))
        yield
        if is_nested:
            _set_local("app.current_user", "")


def current_org_id() -> UUID | None:
    """Return the id of the org whose scope is open, or None."""
    return _current_org.get()


def _set_local(name: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])


def _refuse_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ScopeInAsyncCode(
        "open the scope in a synchronous function, and call it with sync_to_async"
    )
