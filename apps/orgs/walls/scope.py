"""The org of a transaction, which row-level security compares with every row (`apps.orgs.walls.rls`).

A scope sets `app.current_org` with `SET LOCAL` inside one transaction inside ONE synchronous function. Never hold it
across `await`: two tasks may share a connection, and one would read the other's org.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connection, transaction


class NestedOrgScope(Exception):
    """A scope of one org was opened inside the scope of another."""


class ScopeInAsyncCode(Exception):
    """A scope was opened on an event loop; open it inside one synchronous function instead."""


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
    nested = connection.in_atomic_block
    with transaction.atomic():
        _set_local("app.current_org", str(org_id))
        token = _current_org.set(org_id)
        try:
            yield
        finally:
            _current_org.reset(token)
        if nested:  # SET LOCAL outlives a savepoint; an outer transaction must not keep the org.
            _set_local("app.current_org", "")


@contextmanager
def user_scope(user_id: UUID) -> Iterator[None]:
    """Run one transaction in which a user may read their own memberships and orgs, whatever the org."""
    _refuse_event_loop()
    nested = connection.in_atomic_block
    with transaction.atomic():
        _set_local("app.current_user", str(user_id))
        yield
        if nested:
            _set_local("app.current_user", "")


def current_org_id() -> UUID | None:
    """Return the id of the org whose scope is open here, if any."""
    return _current_org.get()


def _set_local(name: str, value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])


def _refuse_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ScopeInAsyncCode("open the scope inside sync_to_async(unit)")
