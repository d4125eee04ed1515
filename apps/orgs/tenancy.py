"""The first barrier between orgs: a query of an org-owned model must name the org.

The second barrier is row-level security (`apps.orgs.walls.rls`). It uses the org that `apps.orgs.walls.scope` sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast
from uuid import UUID

from django.db import models

from apps.auth.models import new_id

if TYPE_CHECKING:
    from apps.orgs.models import Org


class OrgScopeMissing(Exception):
    """A query of an org-owned model does not name the org. Use objects.for_org(org)."""


M = TypeVar("M", bound=models.Model, covariant=True)
ColumnsT = TypeVar("ColumnsT")
Rows = models.QuerySet[M, ColumnsT]  # the type of `.values()`


class OrgQuerySet(models.QuerySet[M, M], Generic[M]):
    """The base class of the QuerySets of org-owned models."""

    def columns(self, columns_type: type[ColumnsT]) -> Rows[M, ColumnsT]:
        """Return `.values()` of the columns that the TypedDict `columns_type` declares."""
        return cast("Rows[M, ColumnsT]", self.values(*columns_type.__annotations__))


Q = TypeVar("Q", bound=OrgQuerySet[Any], covariant=True)


class OrgManager(models.Manager[M], Generic[M, Q]):
    """A manager whose only way to read rows is `for_org`.

    A model with its own QuerySet class needs a subclass of this manager that sets `queryset_class`.
    """

    queryset_class: type[OrgQuerySet[Any]] = OrgQuerySet

    def for_org(self, org: Org | UUID) -> Q:
        org_id = org if isinstance(org, UUID) else org.pk
        rows = self.queryset_class(self.model, using=self._db).filter(org_id=org_id)
        return cast(Q, rows)

    def get_queryset(self) -> Any:
        raise OrgScopeMissing(f"{self.model.__name__}.objects needs for_org(org)")


class OrgOwned(models.Model):
    """The base class of models whose rows belong to one org. The rows are deleted with the org.

    Read rows with `objects.for_org(org)`. `unscoped` reads the rows of all orgs. A guard test allows it only in files
    that are listed with a reason.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    org = models.ForeignKey("orgs.Org", models.CASCADE, related_name="+")

    objects: ClassVar[OrgManager[Self, OrgQuerySet[Self]]] = OrgManager()
    unscoped: ClassVar[models.Manager[Self]] = models.Manager()

    class Meta:
        abstract = True
        base_manager_name = "unscoped"
