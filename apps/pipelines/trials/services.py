"""Trying a definition without saving it: is it valid, what would it read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from apps.connectors import engine
from apps.connectors.engine import Answer
from apps.connectors.schemas import Error
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines import definition, specs, transforms
from apps.pipelines import services as pipelines
from apps.pipelines.definition import Definition
from apps.pipelines.history import versions
from apps.pipelines.transforms import CheckedCode
from apps.pipelines.visibility import place, readable


def validate(
    *,
    org: Org,
    by: Principal,
    config: Mapping[str, Any],
    schedule: Any = None,
    domain_id: UUID | None = None,
    checked: CheckedCode | None = None,
) -> None:
    """Raise Invalid with all that is wrong with a new pipeline. Raises PermissionMissing and CodeUnchecked."""
    place(org, by, domain_id)
    pipelines.read(org=org, by=by, config=config, schedule=schedule, checked=checked)


def preview(
    *, org: Org, by: Principal, pipeline_id: UUID, max_records: int, **instead: Any
) -> Callable[[], Answer]:
    """What asks the engine for a few records of a pipeline's stream: call it outside every transaction.

    `transforms=` are tried instead of the pipeline's own. Raises NotFound, PermissionMissing and Invalid; the answered
    function raises Invalid for code that cannot work.
    """
    pipeline = readable(org=org, by=by, pipeline_id=pipeline_id)
    by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
    before = versions.current(org, pipeline)
    settled, errors = before, list[Error]()
    if "transforms" in instead:
        settled, errors = definition.with_transforms(before, instead["transforms"])
    return _preview(org, settled, errors, before, max_records)


def preview_unsaved(
    *, org: Org, by: Principal, config: Mapping[str, Any], max_records: int
) -> Callable[[], Answer]:
    """As `preview`, of a definition that need not have a destination yet."""
    if not by.may_somewhere(Permission.PIPELINES_EDIT):
        by.require(Permission.PIPELINES_EDIT)
    usable = versions.usable_connectors(org, by, config)
    settled, errors = definition.settle_source(config, connectors=usable)
    return _preview(org, settled, errors, None, max_records)


def _preview(
    org: Org,
    settled: Definition,
    errors: list[Error],
    before: Definition | None,
    max_records: int,
) -> Callable[[], Answer]:
    if errors:
        raise Invalid(errors)
    source, transform = specs.source_spec(org, settled), specs.transform(settled)
    code = transforms.new_code(settled, before)

    def ask() -> Answer:
        if code is not None and (wrong := transforms.check(org_id=org.pk, code=code).errors):
            raise Invalid(list(wrong))
        return engine.preview(org_id=org.pk, source=source, limit=max_records, transform=transform)

    return ask
