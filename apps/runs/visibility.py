"""Find the runs and pipelines that a principal can see. An API key of a domain sees only objects of that domain."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.models import Pipeline
from apps.pipelines.visibility import pipelines
from apps.runs.models import Run


def runs(org: Org | UUID, by: Principal) -> QuerySet[Run]:
    """Return the runs that the principal can see."""
    rows = Run.objects.for_org(org)
    if by.only_domain is None:
        return rows
    return rows.filter(pipeline__domain_id=by.only_domain)


def find_run(*, org: Org, by: Principal, run_id: UUID) -> Run:
    """Return the run if it is visible. Raises NotFound."""
    run: Run = find_object(runs(org, by), run_id)
    return run


def find_permitted_pipeline(
    permission: Permission, *, org: Org, by: Principal, pipeline_id: UUID, lock: bool = False
) -> Pipeline:
    """Return the pipeline, if the principal has the permission in the pipeline's domain.

    Raises NotFound and PermissionMissing.
    """
    pipeline = find_object(pipelines(org, by), pipeline_id, lock=lock)
    by.require(permission, domain_id=pipeline.domain_id)
    return pipeline


def find_permitted_run(permission: Permission, *, org: Org, by: Principal, run_id: UUID) -> Run:
    """Return the run, if the principal has the permission in its pipeline's domain.

    Raises NotFound and PermissionMissing.
    """
    run = find_object(runs(org, by).select_related("pipeline"), run_id)
    by.require(permission, domain_id=run.pipeline.domain_id)
    return run
