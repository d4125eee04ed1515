"""Read the versions of a pipeline's definition. Each function raises NotFound for objects that `by` cannot see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.pipelines import rendering
from apps.pipelines.history import diffs, versions
from apps.pipelines.models import PipelineVersion
from apps.pipelines.visibility import readable


def listed(*, org: Org, by: Principal, pipeline_id: UUID) -> Any:
    """Return all versions of a pipeline, with their authors."""
    pipeline = readable(org=org, by=by, pipeline_id=pipeline_id)
    return versions.of_pipeline(org, pipeline)


def version(*, org: Org, by: Principal, pipeline_id: UUID, number: int) -> PipelineVersion:
    """Return one version of a pipeline, with its author."""
    pipeline = readable(org=org, by=by, pipeline_id=pipeline_id)
    return versions.found(org, pipeline, number)


def changes(
    *, org: Org, by: Principal, pipeline_id: UUID, before: int, after: int
) -> list[diffs.Change]:
    """Return the differences between two versions, with secrets masked. Version 0 means an empty definition."""
    pipeline = readable(org=org, by=by, pipeline_id=pipeline_id)
    new = versions.found(org, pipeline, after)
    if before == 0:
        return diffs.diff({}, rendering.config_of(new))
    old = versions.found(org, pipeline, before)
    secrets_changed = diffs.changed_secrets(
        versions.opened(org, old).secrets, versions.opened(org, new).secrets
    )
    return diffs.diff(
        rendering.config_of(old), rendering.config_of(new), secrets_changed=secrets_changed
    )
