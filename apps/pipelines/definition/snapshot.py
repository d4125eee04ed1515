"""Validate in which snapshots a run reads its streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from apps.connectors import schemas
from apps.connectors.catalogue import Kind
from apps.connectors.schemas import Error, join_path
from apps.pipelines.definition.document import SnapshotDocument, SnapshotRetry, SnapshotScope

PATH = "snapshot"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "scope": get_args(SnapshotScope),
    "retry": get_args(SnapshotRetry),
}


def build_snapshot(value: Any, previous: SnapshotDocument) -> tuple[SnapshotDocument, list[Error]]:
    """Return the stored choices, and the errors. Missing choices keep those of `previous`."""
    if value is None:
        return previous, []
    if not isinstance(value, Mapping):
        return previous, [(PATH, "Must be an object.", "type")]
    errors = schemas.unknown_fields(value, tuple(CHOICES), PATH)
    choices: dict[str, Any] = {**previous}
    for name, allowed in CHOICES.items():
        if (choice := value.get(name)) in allowed:
            choices[name] = choice
        elif choice is not None:
            errors.append(
                (join_path(PATH, name), f"Must be one of {', '.join(allowed)}.", "choice")
            )
    return cast(SnapshotDocument, choices), errors


def snapshot_errors(document: Mapping[str, Any], source_kind: Kind) -> list[Error]:
    """Return the errors of choices that do not fit the source or the streams."""
    snapshot = document.get(PATH)
    if snapshot is None:
        return []
    if not source_kind.shares_snapshots and snapshot["scope"] == "run":
        message = f"{source_kind.title} cannot read several streams in one snapshot."
        return [("scope", message, "unsupported")]
    appended = [
        stream["stream"] for stream in document["streams"] if _is_appended_completely(stream)
    ]
    if "patterns" in document and _is_appended_completely(document["patterns"]):
        appended.append("the matching streams")
    if snapshot["retry"] == "all" and appended:
        message = f"Another attempt would append the rows of {appended[0]} a second time."
        return [("retry", message, "unsupported")]
    return []


def _is_appended_completely(stream: Mapping[str, Any]) -> bool:
    modes: tuple[object, object] = (stream["sync_mode"], stream["write_mode"])
    return modes == ("full_refresh", "append")
