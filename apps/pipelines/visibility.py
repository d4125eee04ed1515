"""The pipelines that a principal can see, and how a pipeline is locked for a change."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.placement import find_object, require_placement, visible_objects
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match
from apps.pipelines.models import Pipeline, Schedule


def pipelines(org: Org | UUID, by: Principal) -> QuerySet[Pipeline]:
    """Return the pipelines of the org that the principal can see."""
    return visible_objects(Pipeline.objects.for_org(org), by)


def readable(*, org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    """Return the pipeline with its domain. Raises NotFound."""
    return find_object(pipelines(org, by).select_related("domain"), pipeline_id)


def named(org: Org, by: Principal, name: str) -> Pipeline:
    """Return the pipeline with this name, case-insensitively. Raises NotFound."""
    found = pipelines(org, by).filter(name__iexact=name).first()
    if found is None:
        raise NotFound
    return found


def locked(
    permission: Permission, *, org: Org, by: Principal, pipeline_id: UUID, match: Match = None
) -> Pipeline:
    """Return the pipeline with its domain, locked, if the principal has the permission in that domain.

    Its schedule is locked first, in the same order as by the scheduler, to avoid deadlocks. Raises NotFound,
    PermissionMissing, and ChangedMeanwhile for a version that is not in `match`.
    """
    list(Schedule.objects.for_org(org).filter(pipeline_id=pipeline_id).select_for_update())
    rows = pipelines(org, by).select_related("domain")
    found = find_object(rows, pipeline_id, lock=True)
    by.require(permission, domain_id=found.domain_id)
    require_match(match, found.etag)
    return found


def place(org: Org, by: Principal, domain_id: UUID | None) -> None:
    """Raise Invalid or PermissionMissing for a domain in which the principal may not have pipelines."""
    require_placement(
        org=org, principal=by, permission=Permission.PIPELINES_EDIT, domain_id=domain_id
    )
