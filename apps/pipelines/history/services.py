"""Read the versions of a pipeline's definition. Each function raises NotFound for pipelines that `by` cannot see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines import rendering
from apps.pipelines.history import diffs, versions
from apps.pipelines.models import PipelineVersion
from apps.pipelines.visibility import find_pipeline


def list_versions(*, org: Org, by: Principal, pipeline_id: UUID) -> Any:
    """Return all versions of a pipeline, with their authors."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return versions.all_versions(org, pipeline)


def find_version(*, org: Org, by: Principal, pipeline_id: UUID, number: int) -> PipelineVersion:
    """Return one version of a pipeline, with its author."""
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    return versions.find_version(org, pipeline, number)


def compare_versions(
    *, org: Org, by: Principal, pipeline_id: UUID, before: int, after: int
) -> list[diffs.Change]:
    """Return the differences between two versions, with secrets masked.

    If `before` is 0, version `after` is compared with an empty definition.
    """
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    new = versions.find_version(org, pipeline, after)
    if before == 0:
        return diffs.diff({}, rendering.masked_config(new))
    old = versions.find_version(org, pipeline, before)
    changed_secrets = diffs.find_changed_secrets(
        versions.definition_with_secrets(org, old).secrets,
        versions.definition_with_secrets(org, new).secrets,
    )
    return diffs.diff(
        rendering.masked_config(old), rendering.masked_config(new), changed_secrets=changed_secrets
    )
