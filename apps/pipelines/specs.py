"""Create the engine's specifications from a pipeline's version, with decrypted settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from apps.connectors import schemas
from apps.connectors import services as connectors
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.models import Connector
from apps.engine.contract import (
    CodeSpec,
    Contract,
    DestinationSpec,
    KeptRecords,
    PublishRules,
    SourceSpec,
)
from apps.engine.field_rules import FieldRules
from apps.orgs import vault
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.pipelines import targets
from apps.pipelines.definition import (
    Definition,
    PatternsDocument,
    SideDocument,
    SideName,
    StreamDocument,
    plain_config,
    python_code,
    rules_of,
)
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline, PipelineVersion


@dataclass(frozen=True, slots=True)
class StreamSpecs:
    """The engine's specifications for one stream of a version of a pipeline."""

    source: SourceSpec
    destination: DestinationSpec
    fields: FieldRules
    transform: CodeSpec | None
    contract: Contract
    rules: PublishRules
    replay: KeptRecords | None = None


def engine_specs(
    *, org: Org, pipeline: Pipeline, version: int, matched: Sequence[StreamDocument] = ()
) -> list[StreamSpecs]:
    """Return the specifications of all streams: those that the version names, and then those that its patterns have
    `matched`. They contain plain secrets, so never show, log or store them.

    The rules for publishing are those of the newest version, so that a retry publishes what a run has read after
    its user has changed them.

    Call this inside the org's scope. Raises PipelineVersion.DoesNotExist, SecretUnreadable if a secret cannot be
    decrypted, and Invalid if another pipeline writes a table of the version now.
    """
    row = versions.get_version(org, pipeline, version)
    named = versions.definition_with_secrets(org, row)
    definition = named.with_streams([*named.streams, *matched])
    targets.require_still_own(org, pipeline, row, definition.streams)
    newest = Definition(versions.get_version(org, pipeline, pipeline.version).definition)
    source = source_of(org, definition)
    config = _settings(org, definition, "destination")
    folder = targets.shared_folder(org, definition.document, own_database=row.own_database)
    return [
        StreamSpecs(
            _with_stream(source, stream),
            _destination_spec(definition, config, stream, shared_folder=folder),
            field_rules(org, stream),
            transform_spec(stream),
            stream.get("contract", "evolve"),
            _publish_rules(newest.stream(stream["stream"]) or newest.patterns or stream),
        )
        for stream in definition.streams
    ]


def source_to_list(org: Org, version: PipelineVersion) -> SourceSpec:
    """Return the specification of the source, for listing its streams. It contains plain secrets.

    Raises what `engine_specs` raises.
    """
    return source_of(org, versions.definition_with_secrets(org, version))


def destination_of(org: Org, version: PipelineVersion, table: str) -> DestinationSpec:
    """Return the specification for reading a table that a run of the version has written. It contains plain secrets.

    Raises Connector.DoesNotExist if the connector was deleted, and SecretUnreadable.
    """
    definition = versions.definition_with_secrets(org, version)
    return DestinationSpec(
        kind=definition.document["destination"]["kind"],
        config=_settings(org, definition, "destination"),
        table=table,
        write_mode="append",
        shared_folder=targets.shared_folder(
            org, definition.document, own_database=version.own_database
        ),
    )


def _publish_rules(stream: StreamDocument | PatternsDocument) -> PublishRules:
    return PublishRules(
        allow_empty=stream.get("allow_empty", False),
        max_rejected_share=stream.get("max_rejected_share", 0.0),
    )


def field_rules(org: Org, stream: StreamDocument) -> FieldRules:
    """Return the rules for the fields of the stream, with the org's secret if a field is hashed."""
    rules = rules_of(stream)
    is_hashed = any(rule.protect == "hash" for rule in rules.rules)
    return replace(rules, hash_secret=vault.field_hash_secret(org)) if is_hashed else rules


def transform_spec(stream: StreamDocument) -> CodeSpec | None:
    """Return the code of the transform between source and destination."""
    code = python_code(stream)
    return CodeSpec(code, label="transform") if code else None


def source_spec(org: Org, definition: Definition, stream: StreamDocument) -> SourceSpec:
    return _with_stream(source_of(org, definition), stream)


def source_of(org: Org, definition: Definition) -> SourceSpec:
    """Return the specification of the source without a stream."""
    source = definition.document["source"]
    config = _settings(org, definition, "source")
    return SourceSpec(
        kind=source["kind"], config=config, code=_code_spec(org, source, config), stream=""
    )


def _with_stream(source: SourceSpec, stream: StreamDocument) -> SourceSpec:
    return replace(
        source,
        stream=stream["stream"],
        sync_mode=stream["sync_mode"],
        cursor_field=stream["cursor_field"],
        primary_key=tuple(stream["primary_key"]),
    )


def _code_spec(org: Org, source: SideDocument, config: Mapping[str, Any]) -> CodeSpec | None:
    """Return the code of a custom source for the sandbox, or None for other kinds.

    Raises Invalid if the code is not approved, or if the settings are not valid for it.
    """
    if custom_kinds.custom_source_id(source["kind"]) is None:
        return None
    version = custom_kinds.approved_version(org, source["kind"], source.get("version"))
    errors = schemas.errors(version.report["config_schema"], config)
    if errors:
        errors_with_paths = [
            (f"source.config.{name}", message, code) for name, message, code in errors
        ]
        raise Invalid(errors_with_paths)
    return custom_kinds.code_spec(version)


def _destination_spec(
    definition: Definition,
    config: Mapping[str, Any],
    stream: StreamDocument,
    *,
    shared_folder: str,
) -> DestinationSpec:
    return DestinationSpec(
        kind=definition.document["destination"]["kind"],
        config=config,
        table=stream["table"],
        write_mode=stream["write_mode"],
        primary_key=tuple(map(rules_of(stream).final_name, stream["primary_key"])),
        shared_folder=shared_folder,
        has_companions=len(definition.streams) > 1,
    )


def _settings(org: Org, definition: Definition, side: SideName) -> dict[str, Any]:
    pk = definition.document[side]["connector_id"]
    if pk is None:
        return plain_config(definition, side)
    _, plain = connectors.kind_and_settings(org, Connector.objects.for_org(org).get(pk=pk))
    return plain
