"""Find the pipelines that a principal can see, and lock a pipeline for a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Greatest

from apps.connectors.models import Connector
from apps.connectors.services import Usage
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.placement import find_object, require_placement, visible_objects
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match
from apps.pipelines.models import Pipeline, PipelineVersion, Schedule


def pipelines(org: Org | UUID, by: Principal) -> QuerySet[Pipeline]:
    """Return the pipelines of the org that the principal can see."""
    return visible_objects(Pipeline.objects.for_org(org), by)


def find_pipeline(*, org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    """Return the pipeline with its domain. Raises NotFound."""
    return find_object(pipelines(org, by).select_related("domain"), pipeline_id)


def usage_by_connector(org: Org, by: Principal, connector_ids: Sequence[UUID]) -> dict[UUID, Usage]:
    """Return the usage by pipelines that the principal can see. Unused connectors are left out."""
    is_of_current = _has_succeeded_in_current_version(org)

    def usage_as(column: str) -> QuerySet[Pipeline, tuple[UUID, int, datetime | None]]:
        users = pipelines(org, by).filter(**{f"{column}__in": connector_ids})
        return (
            users.order_by()
            .values_list(column)
            .annotate(count=Count("pk"), succeeded_at=Max("last_success_at", filter=is_of_current))
        )

    rows = usage_as("source_connector").union(usage_as("destination_connector"), all=True)
    return {connector_id: Usage(count, at) for connector_id, count, at in rows}


def connectors_that_work(org: Org, by: Principal) -> Exists:
    """Return the condition that a run with a connector has succeeded since it was changed and tested.

    It is of a pipeline that the principal can see. The page of connectors says the same.
    """
    users = pipelines(org, by).filter(
        Q(source_connector=OuterRef("pk")) | Q(destination_connector=OuterRef("pk")),
        _has_succeeded_in_current_version(org),
        last_success_at__gt=Greatest(OuterRef("updated_at"), OuterRef("checked_at")),
    )
    return Exists(users)


def _has_succeeded_in_current_version(org: Org) -> Q:
    """Return the condition of a pipeline. An earlier version may have had another connector."""
    current = PipelineVersion.objects.for_org(org).filter(
        pipeline=OuterRef("pk"), number=OuterRef("version")
    )
    return Q(last_success_at__gt=Subquery(current.values("created_at")))


def has_succeeded_with(org: Org, connector: Connector) -> bool:
    """Whether the last run of a pipeline with this connector has succeeded since the connector was changed."""
    with_connector = Q(source_connector=connector) | Q(destination_connector=connector)
    return (
        Pipeline.objects.for_org(org)
        .filter(
            with_connector,
            last_run_status="succeeded",
            last_run_finished_at__gt=connector.updated_at,
        )
        .exists()
    )


def find_pipeline_by_name(org: Org, by: Principal, name: str) -> Pipeline:
    """Return the pipeline with this name, ignoring case. Raises NotFound."""
    pipeline = pipelines(org, by).filter(name__iexact=name).first()
    if pipeline is None:
        raise NotFound
    return pipeline


def lock_pipeline(
    permission: Permission, *, org: Org, by: Principal, pipeline_id: UUID, match: Match = None
) -> Pipeline:
    """Lock and return the pipeline, if the principal has the permission in its domain.

    The schedule is locked before the pipeline. The scheduler locks in the same order, so there are no deadlocks. Raises
    NotFound, PermissionMissing, and ChangedMeanwhile for a version that is not in `match`.
    """
    list(Schedule.objects.for_org(org).filter(pipeline_id=pipeline_id).select_for_update())
    rows = pipelines(org, by).select_related("domain")
    pipeline = find_object(rows, pipeline_id, lock=True)
    by.require(permission, domain_id=pipeline.domain_id)
    require_match(match, pipeline.etag)
    return pipeline


def require_edit_in_domain(org: Org, by: Principal, domain_id: UUID | None) -> None:
    """Raise Invalid or PermissionMissing for a domain in which the principal may not edit pipelines."""
    require_placement(
        org=org, principal=by, permission=Permission.PIPELINES_EDIT, domain_id=domain_id
    )


def unused_name(org: Org, name: str) -> str:
    """Return the first unused name among "X (copy)", "X (copy 2)" and so on."""
    stem = name[:100]
    taken = {
        existing.lower()
        for existing in Pipeline.objects.for_org(org)
        .filter(name__istartswith=f"{stem} (copy")
        .values_list("name", flat=True)
    }
    names = (f"{stem} (copy{f' {n}' if n > 1 else ''})" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in names if candidate.lower() not in taken)
