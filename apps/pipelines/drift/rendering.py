"""Render changes at the source, for the API and for the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.pipelines.definition import StreamDocument
from apps.pipelines.drift import services

COLUMNS = (
    "id", "run_id", "stream", "kind", "column", "before", "after", "decision", "decided_at",
    "created_at", "decided_by", "decided_by__name", "decided_by__email",
)  # fmt: skip


def render_change(
    streams: Mapping[str, StreamDocument], values: Mapping[str, object]
) -> services.ChangeRow:
    """Return a change for the API. `values` are those of the columns COLUMNS."""
    row: Any = values
    user_id = row["decided_by"]
    name = row["decided_by__name"] or row["decided_by__email"]
    return {
        "id": row["id"],
        "run_id": row["run_id"],
        "stream": row["stream"],
        "kind": row["kind"],
        "column": row["column"],
        "before": row["before"],
        "after": row["after"],
        "effect": services.effect_of(row["kind"], row["column"], streams.get(row["stream"])),
        "decision": row["decision"] or None,
        "decided_by": {"id": user_id, "name": name} if user_id else None,
        "decided_at": row["decided_at"],
        "created_at": row["created_at"],
    }
