"""Validate and preview a definition without saving it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings

from apps.connectors import engine, storage
from apps.connectors.engine import ContractSpec, Preview
from apps.connectors.schemas import Error
from apps.engine.stream_keys import stream_key
from apps.engine.sync import state
from apps.engine.targets import place_of
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.pipelines import definition, specs, targets, transforms
from apps.pipelines import services as pipelines
from apps.pipelines.definition import Definition, RequestDocument, StreamDocument
from apps.pipelines.definition.discovered import Unchecked, find_unchecked
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import known_documents
from apps.pipelines.models import Pipeline
from apps.pipelines.transforms import CheckedCode
from apps.pipelines.visibility import find_pipeline, require_edit_in_domain


def validate(
    *,
    org: Org,
    by: Principal,
    config: RequestDocument,
    schedule: Any = None,
    domain_id: UUID | None = None,
    checked: CheckedCode | None = None,
) -> list[Unchecked]:
    """Raise Invalid with all errors of a new pipeline. Returns what could not be compared with its source.

    Raises PermissionMissing and CodeUnchecked.
    """
    require_edit_in_domain(org, by, domain_id)
    draft, _ = pipelines.build_definition_and_plan(
        org=org, by=by, config=config, schedule=schedule, checked=checked
    )
    return find_unchecked(org, draft)


def preview(
    *, org: Org, by: Principal, pipeline_id: UUID, max_records: int, **overrides: Any
) -> SlowCall[Preview]:
    """Return a SlowCall that reads a few records of one of the pipeline's streams: of the first, or of `stream`.

    The optional keywords `fields` and `transforms` replace what the stream has. Raises NotFound, PermissionMissing and
    Invalid. The call raises Invalid if the code of a transform is not valid.
    """
    pipeline = _find_editable_pipeline(org, by, pipeline_id)
    before = versions.current_definition(org, pipeline)
    known = before.with_streams([*before.streams, *known_documents(org, pipeline, before)])
    stream = _require_stream(known, overrides.get("stream"))
    draft = before.with_streams([stream])
    if "fields" in overrides:
        draft = _require_valid(
            *definition.replace_fields(draft, stream, overrides["fields"], "fields")
        )
    if "transforms" in overrides:
        (stream,) = draft.streams
        draft = _require_valid(
            *definition.replace_transforms(draft, stream, overrides["transforms"], "transforms")
        )
    contract = _contract_of(org, pipeline, before, stream)
    read_preview = _prepare_preview(
        org, draft, max_records, before, field="transforms.0.code", contract=contract
    )
    return SlowCall(
        read_preview, lambda principal: _find_editable_pipeline(org, principal, pipeline_id)
    )


def _contract_of(
    org: Org, pipeline: Pipeline, saved: Definition, stream: StreamDocument
) -> ContractSpec:
    """Return the contract of a saved stream, with the columns that its newest run has published to its table."""
    row = versions.get_version(org, pipeline, pipeline.version)
    destination = targets.destination_of(org, saved.document, own_database=row.own_database)
    place = place_of(
        destination.kind,
        destination.config,
        stream["table"],
        shared_folder=destination.shared_folder,
        own_folder=storage.data_root(org.pk, pipeline.pk).prefix,
    )
    key = stream_key(org.pk, pipeline.pk, stream["stream"])
    return {
        "contract": stream.get("contract", "evolve"),
        "write_mode": stream["write_mode"],
        "published": state.read_published_columns(settings.ENGINE_DATABASE_URL, key, place=place),
    }


def preview_unsaved(
    *, org: Org, by: Principal, config: RequestDocument, max_records: int
) -> SlowCall[Preview]:
    """Return a SlowCall that reads a few records with an unsaved definition, which needs no destination."""
    draft = build_unsaved(org, by, config)
    return SlowCall(
        _prepare_preview(org, draft, max_records),
        lambda principal: build_unsaved(org, principal, config),
    )


def _find_editable_pipeline(org: Org, by: Principal, pipeline_id: UUID) -> Pipeline:
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
    return pipeline


def build_unsaved(org: Org, by: Principal, config: RequestDocument) -> Definition:
    """Return the definition. Raises Invalid, and PermissionMissing if `by` may not edit pipelines in any domain."""
    if not by.may_somewhere(Permission.PIPELINES_EDIT):
        by.require(Permission.PIPELINES_EDIT)
    connectors = versions.usable_connectors(org, by, config)
    return _require_valid(*definition.build_source(config, connectors=connectors))


def _require_stream(draft: Definition, name: str | None) -> StreamDocument:
    """Return the stream with this name, or the first one. Raises Invalid."""
    stream = draft.stream(name)
    if stream is None:
        message = "The pipeline has no such stream."
        if name is None:
            message = (
                "The patterns are matched by the first run: name a stream in streams for a preview."
            )
        raise Invalid([("stream", message, "unknown")])
    return stream


def _require_valid(draft: Definition, errors: list[Error]) -> Definition:
    """Return the definition if there are no errors. Raises Invalid."""
    if errors:
        raise Invalid(errors)
    return draft


def _prepare_preview(
    org: Org,
    draft: Definition,
    max_records: int,
    before: Definition | None = None,
    field: str = "streams.0.transforms.0.code",
    contract: ContractSpec | None = None,
) -> Callable[[], Preview]:
    """Return the function that reads records of the draft's first stream."""
    stream = _require_stream(draft, None)
    source, transform = specs.source_spec(org, draft, stream), specs.transform_spec(stream)
    rules = specs.field_rules(org, stream)
    fields = dict.fromkeys(transforms.changed_codes(draft.with_streams([stream]), before), field)

    def read_preview() -> Preview:
        checked = transforms.check_codes(org_id=org.pk, fields=fields)
        _require_valid(draft, [error for errors in checked.errors.values() for error in errors])
        return engine.preview(
            org_id=org.pk,
            source=source,
            limit=max_records,
            fields=rules,
            transform=transform,
            contract=contract,
        )

    return read_preview
