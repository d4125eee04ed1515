"""The definition of a pipeline: the document in a request, and the stored document in a version.

`{"source": {connector_id | kind + config, version},
  "streams": [{stream, table, sync_mode, cursor_field, primary_key, write_mode, allow_empty, max_rejected_share,
               contract, fields: {others, rules: [{field, drop, name, type, protect}]},
               transforms: [{kind: "python", code}]}],
  "destination": {connector_id | kind + config},
  "snapshot": {scope, retry},
  "patterns": {match: ["public.*", "!*_tmp"], sync_mode, cursor_field, write_mode, allow_empty, max_rejected_share,
               contract, fields, transforms},
  "naming": "raw.{schema}_{table}", "new_streams": "add" | "ask" | "ignore",
  "on_stream_failure": "continue" | "stop"}`. There is at least one stream, or
patterns. The settings are those of a saved connector, or they are inline. Secrets of inline settings are stored
separately, by paths like `source.config.password`.
"""

from apps.pipelines.definition.building import (
    build,
    build_source,
    complete,
    replace_fields,
    replace_transforms,
)
from apps.pipelines.definition.document import (
    DEFAULT_SNAPSHOT,
    Definition,
    Document,
    Offer,
    PatternsDocument,
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
from apps.pipelines.definition.names import full_name, table_of
from apps.pipelines.definition.patterns import (
    describe,
    matched_stream,
    matches,
    with_shared_settings,
    without_shared_settings,
)
from apps.pipelines.definition.sides import Connectors

__all__ = [
    "DEFAULT_SNAPSHOT",
    "Connectors",
    "Definition",
    "Document",
    "Offer",
    "PatternsDocument",
    "RequestDocument",
    "SideDocument",
    "SideName",
    "SnapshotDocument",
    "StreamDocument",
    "TransformDocument",
    "build",
    "build_source",
    "complete",
    "connector_ids",
    "describe",
    "document_with_secrets",
    "full_name",
    "mask",
    "matched_stream",
    "matches",
    "plain_config",
    "python_code",
    "replace_fields",
    "replace_transforms",
    "rules_of",
    "table_of",
    "with_shared_settings",
    "without_shared_settings",
]
