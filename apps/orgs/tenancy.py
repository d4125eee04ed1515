"""The first barrier between orgs: models that cannot be read without naming the org.

The second barrier is row-level security (`apps.orgs.walls.rls`), which reads what `apps.orgs.walls.scope` sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast
from uuid import UUID

from django.db import models

from apps.auth.models import new_id

if TYPE_CHECKING:
    from apps.orgs.models import Org


class OrgScopeMissing(Exception):
    """An org-owned table was read without naming the org: use objects.for_org(org)."""


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
