"""Create sources and destinations from specifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from bizon.source.config import SourceSyncModes
from pydantic import BaseModel, ValidationError

from apps.engine import destinations, sources
from apps.engine.contract import DestinationSpec, SandboxSpec, SourceSpec, StorageRoot
from apps.engine.destinations.base import Destination
from apps.engine.failures import ConfigurationError
from apps.engine.sources.connector import ConnectorSource, SourceSettings, StreamConfig

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
        lines = tuple(
            f"config.{'.'.join(str(part) for part in issue['loc'])}: {issue['msg']}"
            for issue in issues[:20]
        )
        raise ConfigurationError("the settings are not valid", evidence=lines) from None
