"""Create the engine's specifications from a pipeline's version, with decrypted settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.connectors import schemas
from apps.connectors import services as connectors
from apps.connectors.custom_sources import kinds as custom_kinds
from apps.connectors.models import Connector
from apps.engine.contract import CodeSpec, DestinationSpec, SourceSpec
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.pipelines import definition
from apps.pipelines.definition import Definition, SideDocument, SideName
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline


@dataclass(frozen=True, slots=True)
class Specs:
    """The engine's specifications of a version."""

    source: SourceSpec
    destination: DestinationSpec
    transform: CodeSpec | None


def engine_specs(*, org: Org, pipeline: Pipeline, version: int) -> Specs:
    """Return the specifications, which contain plain secrets: never show, log or store them.

    Call it inside the org's scope. Raises PipelineVersion.DoesNotExist, and Unreadable if a secret cannot be
    decrypted.
    """
    built = versions.opened(org, versions.numbered(org, pipeline, version))
    return Specs(source_spec(org, built), _destination_spec(org, built), transform(built))


def transform(built: Definition) -> CodeSpec | None:
    """Return the code of the transform between source and destination."""
    code = definition.python_of(built)
    return CodeSpec(code, label="transform") if code else None


def source_spec(org: Org, built: Definition) -> SourceSpec:
    source, stream = built.document["source"], built.stream
    config = _settings(org, built, "source")
    return SourceSpec(
        kind=source["kind"],
        config=config,
        code=_code(org, source, config),
        stream=stream["stream"],
        sync_mode=stream["sync_mode"],
        cursor_field=stream["cursor_field"],
        primary_key=tuple(stream["primary_key"]),
    )


def _code(org: Org, source: SideDocument, config: Mapping[str, Any]) -> CodeSpec | None:
    """Return the code for the sandbox.

    Raises Invalid if it is not approved, or the settings are not valid for it.
    """
    if custom_kinds.id_of(source["kind"]) is None:
        return None
    version = custom_kinds.version_of(org, source["kind"], source.get("version"))
    errors = schemas.errors(version.report["config_schema"], config)
    if errors:
        named = [(f"source.config.{name}", message, code) for name, message, code in errors]
        raise Invalid(named)
    return custom_kinds.code(version)


def _destination_spec(org: Org, built: Definition) -> DestinationSpec:
    destination, stream = built.document["destination"], built.stream
    return DestinationSpec(
        kind=destination["kind"],
        config=_settings(org, built, "destination"),
        table=stream["table"],
        write_mode=stream["write_mode"],
        primary_key=tuple(stream["primary_key"]),
    )


def _settings(org: Org, built: Definition, side: SideName) -> dict[str, Any]:
    pk = built.document[side]["connector_id"]
    if pk is None:
        return definition.plain_config(built, side)
    _, plain = connectors.resolve(org, Connector.objects.for_org(org).get(pk=pk))
    return plain
