"""Links to pages of the dashboard, and short labels of ids for people."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from apps.connectors.models import CUSTOM_PREFIX, Connector, CustomSource
from apps.pipelines.models import Pipeline

SHORT_ID_LENGTH = 6

Link = Mapping[str, str]


def short_id(object_id: UUID) -> str:
    """Return the last digits of the id. They are random, while the first digits are the time of creation."""
    return object_id.hex[-SHORT_ID_LENGTH:]


def pipeline_path(pipeline_id: UUID) -> str:
    return f"/pipelines/{pipeline_id}"


def run_path(run_id: UUID) -> str:
    return f"/runs/{run_id}"


def pipeline_link(pipeline: Pipeline) -> Link:
    return {"label": pipeline.name, "path": pipeline_path(pipeline.pk)}


def run_link(run_id: UUID) -> Link:
    return {"label": f"Run {short_id(run_id)}", "path": run_path(run_id)}


def source_link(source: CustomSource) -> Link:
    return {"label": source.name, "path": f"/sources/{source.pk}"}


def connector_label(connector: Connector) -> str:
    return f"{connector.name} ({kind_label(connector.kind)})"


def describe_streams(pipeline: Pipeline) -> str:
    """Return the pipeline's only stream, or its first stream and the number of the others, or its patterns."""
    if "*" in pipeline.stream and pipeline.stream_count != 1:
        return f"streams {pipeline.stream} ({pipeline.stream_count:,} now)"
    others = pipeline.stream_count - 1
    if not others:
        return f"stream {pipeline.stream}"
    return f"stream {pipeline.stream} and {others:,} other{'s' if others > 1 else ''}"


def kind_label(kind: str) -> str:
    """Return the kind as a card shows it. The kind of a custom source contains its id, which says nothing to a person."""
    return "custom source" if kind.startswith(CUSTOM_PREFIX) else kind
