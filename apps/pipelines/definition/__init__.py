"""The definition of a pipeline: the document in a request, and the stored document in a version.

`{"source": {connector_id | kind + config, version},
  "streams": [{stream, table, sync_mode, cursor_field, primary_key, write_mode, allow_empty, max_rejected_share,
               contract, fields: {others, rules: [{field, drop, name, type, protect}]},
               transforms: [{kind: "python", code}]}],
  "destination": {connector_id | kind + config},
  "snapshot": {scope, retry}}`. There is at least one stream. The settings are those of a
saved connector, or they are inline. Secrets of inline settings are stored separately, by paths like
`source.config.password`.
"""

from apps.pipelines.definition.building import (
    build,
    build_source,
    replace_fields,
    replace_transforms,
)
from apps.pipelines.definition.document import (
    DEFAULT_SNAPSHOT,
    Definition,
    Document,
    RequestDocument,
    SideDocument,
    SideName,
    SnapshotDocument,
    StreamDocument,
    TransformDocument,
    connector_ids,
    document_with_secrets,
    mask,
    plain_config,
    python_code,
)
from apps.pipelines.definition.fields import rules_of
from apps.pipelines.definition.sides import Connectors
from apps.pipelines.definition.streams import default_table

__all__ = [
    "DEFAULT_SNAPSHOT",
    "Connectors",
    "Definition",
    "Document",
    "RequestDocument",
    "SideDocument",
    "SideName",
    "SnapshotDocument",
    "StreamDocument",
    "TransformDocument",
    "build",
    "build_source",
    "connector_ids",
    "default_table",
    "document_with_secrets",
    "mask",
    "plain_config",
    "python_code",
    "replace_fields",
    "replace_transforms",
    "rules_of",
]
