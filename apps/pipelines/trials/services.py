"""Validate and preview a definition without saving it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from apps.connectors import engine
from apps.connectors.engine import Preview
from apps.connectors.schemas import Error
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.pipelines import definition, specs, transforms
from apps.pipelines import services as pipelines
from apps.pipelines.definition import Definition, Sent
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline
from apps.pipelines.transforms import CheckedCode
from apps.pipelines.visibility import place, readable


def validate(
    *,
    org: Org,
    by: Principal,
    config: Sent,
    schedule: Any = None,
    domain_id: UUID | None = None,
    checked: CheckedCode | None = None,
) -> None:
    """Raise Invalid with all errors of a new pipeline. Raises PermissionMissing and CodeUnchecked."""
    place(org, by, domain_id)
    pipelines.read(org=org, by=by, config=config, schedule=schedule, checked=checked)


def preview(
    *, org: Org, by: Principal, pipeline_id: UUID, max_records: int, **overrides: Any
) -> SlowCall[Preview]:
    """Return a call that reads a few records of a pipeline's stream.

    The optional keyword `transforms` replaces the pipeline's own. Raises NotFound, PermissionMissing and Invalid;
    the call raises Invalid if the code of a transform is not valid.
    """
    pipeline = _editable(org, by, pipeline_id)
    before = versions.current(org, pipeline)
    built = before
    if "transforms" in overrides:
        found = definition.with_transforms(before, overrides["transforms"], "transforms")
        built = _require_valid(*found)
    run = _preview(org, built, max_records, before, field="transforms.0.code")
    return SlowCall(run, lambda later: _editable(org, later, pipeline_id))


def preview_unsaved(
    *, org: Org, by: Principal, config: Sent, max_records: int
) -> SlowCall[Preview]:
    """Like `preview`, for a definition that was not saved and needs no destination."""
    built = _unsaved(org, by, config)
    return SlowCall(_preview(org, built, max_records), lambda later: _unsaved(org, later, config))


def _editable(org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    pipeline = readable(org=org, by=by, pipeline_id=pipeline_id)
    by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
    return pipeline


def _unsaved(org: Org, by: Principal, config: Sent) -> Definition:
    """Return the definition. Raises Invalid, and PermissionMissing unless `by` may edit pipelines in some domain."""
    if not by.may_somewhere(Permission.PIPELINES_EDIT):
        by.require(Permission.PIPELINES_EDIT)
    usable = versions.usable_connectors(org, by, config)
    return _require_valid(*definition.build_source(config, connectors=usable))


def _require_valid(built: Definition, errors: list[Error]) -> Definition:
    """Return the definition if there are no errors. Raises Invalid."""
    if errors:
        raise Invalid(errors)
    return built


def _preview(
    org: Org,
    built: Definition,
    max_records: int,
    before: Definition | None = None,
    field: str = transforms.FIELD,
) -> Callable[[], Preview]:
    source, transform = specs.source_spec(org, built), specs.transform(built)
    code = transforms.new_code(built, before)

    def run() -> Preview:
        if code is not None and (
            wrong := transforms.check(org_id=org.pk, code=code, field=field).errors
        ):
            raise Invalid(list(wrong))
        return engine.preview(org_id=org.pk, source=source, limit=max_records, transform=transform)

    return run
