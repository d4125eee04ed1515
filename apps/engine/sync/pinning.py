"""Decide which types of columns a sync keeps from the one before. A preview shows what a run would do, so it asks here too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.engine.field_rules import FieldRules
from apps.engine.frames.decoding import SchemaJson, StreamSchema
from apps.engine.sources.base import StreamSource
from apps.engine.sync.identity import changed_effects


def pins_types(
    source: StreamSource, *, contract: str, write_mode: str | None, sync_mode: str | None
) -> bool:
    """Whether the columns keep the types of the sync before, which every contract but `evolve` compares."""
    replaces_all = write_mode == "replace" and sync_mode == "full_refresh"
    return not (contract == "evolve" and source.has_typed_columns and replaces_all)


def pinned_columns(
    columns: SchemaJson,
    *,
    inputs: Mapping[str, Any] | None,
    fields: FieldRules,
    effects: Mapping[str, str],
) -> StreamSchema:
    """Return the `columns` of the sync before whose types are kept; `inputs` are its `StreamInputs`.

    They are without the columns that the rules for the fields drop or rename now, and without those that are cast,
    hashed or redacted in another way than before. `fields` are these rules, if no transform changes the records after
    them, and `effects` are their effects.
    """
    earlier = StreamSchema.from_json(columns)
    gone = {name for name in earlier.columns if not fields.may_arrive(name)}
    return earlier.pin(without=gone, changed=changed_effects(inputs, effects))
