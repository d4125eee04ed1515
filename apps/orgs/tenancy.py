"""The first barrier between orgs: models that cannot be read without naming the org.

The second barrier is row-level security (`apps.orgs.walls.rls`), which reads `app.current_org`. The scope sets
it with `SET LOCAL` inside one transaction inside ONE synchronous function. Never hold it across `await`: two
tasks may share a connection, and one would read the other's org.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast
from uuid import UUID

from django.db import connection, models, transaction

from apps.auth.models import new_id

if TYPE_CHECKING:
    from apps.orgs.models import Org


class OrgScopeMissing(Exception):
    """An org-owned table was read without naming the org: use objects.for_org(org)."""


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


M = TypeVar("M", bound=models.Model, covariant=True)
ColumnsT = TypeVar("ColumnsT")
Rows = models.QuerySet[M, ColumnsT]  # of `.values()`


class OrgQuerySet(models.QuerySet[M, M], Generic[M]):
    """Base of the QuerySets of org-owned models, whose queries are its methods."""

    def columns(self, wanted: type[ColumnsT]) -> Rows[M, ColumnsT]:
        """`.values()` of the columns that the TypedDict `wanted` names."""
        return cast("Rows[M, ColumnsT]", self.values(*wanted.__annotations__))


Q = TypeVar("Q", bound=OrgQuerySet[Any], covariant=True)


class OrgManager(models.Manager[M], Generic[M, Q]):
    """A manager whose only access is `for_org`. A model whose QuerySet has methods has a subclass that names it."""

    queryset_class: type[OrgQuerySet[Any]] = OrgQuerySet

    def for_org(self, org: Org | UUID) -> Q:
        org_id = org if isinstance(org, UUID) else org.pk
        rows = self.queryset_class(self.model, using=self._db).filter(org_id=org_id)
        return cast(Q, rows)

    def get_queryset(self) -> Any:
        raise OrgScopeMissing(f"{self.model.__name__}.objects needs for_org(org)")


class OrgOwned(models.Model):
    """A row that belongs to one org and is deleted with it.

    Read it with `objects.for_org(org)`. `unscoped` bypasses the org; it is easy to search for, and allowed only
    where tests/guards lists a reason.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    org = models.ForeignKey("orgs.Org", models.CASCADE, related_name="+")

    objects: ClassVar[OrgManager[Self, OrgQuerySet[Self]]] = OrgManager()
    unscoped: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        base_manager_name = "unscoped"
