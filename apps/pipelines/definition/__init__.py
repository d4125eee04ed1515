"""The definition of a pipeline: the document of a request, and its stored form in a version.

`{"source": {connector_id | kind + config, version},
  "streams": [{stream, table, sync_mode, cursor_field, primary_key, write_mode, transforms: [{kind: "python", code}]}],
  "destination": {connector_id | kind + config}}`, for now with exactly one stream. Settings come from a saved connector
or are inline; secrets of inline settings are stored separately, by paths like `source.config.password`.
"""

from apps.pipelines.definition.building import build, build_source, with_transforms
from apps.pipelines.definition.document import (
    Definition,
    Document,
    Sent,
    SideDocument,
    SideName,
    StreamDocument,
    TransformDocument,
    connector_ids,
    joined_document,
    mask,
    plain_config,
    python_of,
)
from apps.pipelines.definition.sides import Connectors

__all__ = [
    "Connectors",
    "Definition",
    "Document",
    "Sent",
    "SideDocument",
    "SideName",
    "StreamDocument",
    "TransformDocument",
    "build",
    "build_source",
    "connector_ids",
    "joined_document",
    "mask",
    "plain_config",
    "python_of",
    "with_transforms",
]
