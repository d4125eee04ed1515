"""Create sources and destinations from specifications, and choose the types that pass between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from bizon.source.config import SourceSyncModes
from pydantic import BaseModel, ValidationError

from apps.engine import destinations, sources
from apps.engine.contract import DestinationSpec, RunSpec, SandboxSpec, SourceSpec, StorageRoot
from apps.engine.destinations.base import Destination
from apps.engine.failures import ConfigurationError
from apps.engine.reporting import setting_problems
from apps.engine.sources.base import StreamSource
from apps.engine.sources.connector import ConnectorSource, SourceSettings, StreamConfig
from apps.engine.sync.jobs import Job
from apps.engine.sync.writer import SideTracker

Settings = TypeVar("Settings", bound=BaseModel)


def build_source(
    spec: SourceSpec,
    *,
    files: StorageRoot,
    allow_private_networks: bool = False,
    sandbox: SandboxSpec | None = None,
) -> ConnectorSource[Any]:
    """Create the source of the specification without connecting it. Raises ConfigurationError."""
    if spec.code is not None:
        return _build_sandboxed_source(
            spec, files, allow_private_networks, sandbox or SandboxSpec()
        )
    if spec.kind not in sources.SOURCES:
        raise ConfigurationError(f"there is no source of kind {spec.kind!r}")
    source_class = cast("type[ConnectorSource[Any]]", sources.load(spec.kind).Source)
    settings = parse_settings(cast("type[SourceSettings]", source_class.Config), spec.config)
    return source_class(
        make_stream_config(spec, settings),
        spec=spec,
        files=files,
        allow_private_networks=allow_private_networks,
    )


def _build_sandboxed_source(
    spec: SourceSpec, files: StorageRoot, allow_private: bool, sandbox: SandboxSpec
) -> ConnectorSource[Any]:
    from apps.engine.sources.custom import SandboxedSource

    return SandboxedSource(
        make_stream_config(spec, SourceSettings()),
        spec=spec,
        files=files,
        allow_private_networks=allow_private,
        sandbox=sandbox,
    )


def build_destination(
    spec: DestinationSpec,
    *,
    job_id: str,
    data: StorageRoot,
    allow_private_networks: bool = False,
) -> Destination:
    """Create the destination of the specification without connecting it. Raises ConfigurationError."""
    if spec.kind not in destinations.DESTINATIONS:
        raise ConfigurationError(f"there is no destination of kind {spec.kind!r}")
    destination_class = cast("type[Destination]", destinations.load(spec.kind).Destination)
    return destination_class(
        parse_settings(destination_class.Config, spec.config),
        spec=spec,
        job_id=job_id,
        data=data,
        allow_private_networks=allow_private_networks,
    )


def make_stream_config(spec: SourceSpec, settings: SourceSettings) -> StreamConfig:
    """Return the connector's settings, together with the fields of the stream that bizon's producer needs."""
    return StreamConfig(
        name=spec.kind,
        stream=spec.stream,
        sync_mode=SourceSyncModes(spec.sync_mode),
        cursor_field=spec.cursor_field,
        settings=settings,
    )


def parse_settings(model: type[Settings], config: Mapping[str, Any]) -> Settings:
    """Parse the settings into their model.

    Raises ConfigurationError, which names each invalid field and never shows its value.
    """
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        issues = error.errors(include_input=False, include_context=False, include_url=False)
        lines = setting_problems.describe(issues, "config.")
        raise ConfigurationError("the settings are not valid", evidence=lines) from None


def choose_types(
    spec: RunSpec,
    source: StreamSource,
    destination: Destination,
    job: Job,
    side_tracker: SideTracker,
) -> Callable[[str], bool]:
    """Tell the source which types the columns must have, and which it may declare.

    Returns whether a field arrives in a column of text. Once the job has staged columns, or has read all records once,
    they keep their types.
    """
    schema, fields = job.schema(), spec.fields
    known_texts = fields.by_source_name(dict.fromkeys(schema.text_columns, True))
    source.text_columns = frozenset(known_texts) | fields.rewritten
    source.protected_fields = fields.protected
    source.is_transformed = spec.transform is not None
    if not source.is_transformed and not fields.drops_fields:
        source.known_columns = frozenset(fields.by_source_name(schema.columns))
    source.type_system = destination.type_system
    with side_tracker.using("destination"):
        is_text_field = destination.text_fields()
    source.is_text_field = lambda field: is_text_field(fields.final_name(field))
    leaves_columns_out = spec.contract in {"drop_columns", "drop_rows"}
    is_changed = source.is_transformed or bool(fields) or leaves_columns_out
    source.copy_version = 0 if is_changed else destination.copy_version
    kept_types = schema.declared_types
    if not job.batches and not schema.is_complete:
        with side_tracker.using("destination"):
            kept_types = dict(destination.kept_types())
    # The values of rewritten fields are read as Drover's types, whatever the destination is.
    source.kept_types = fields.by_source_name(kept_types) | dict.fromkeys(fields.rewritten, "")
    return is_text_field
