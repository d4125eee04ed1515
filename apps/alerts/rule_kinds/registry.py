"""The kinds of rules by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypedDict

from apps.alerts.rule_kinds import (
    credential_ends,
    failed_in_a_row,
    late,
    limit_near,
    limit_reached,
    no_storage,
    no_worker,
    run_failed,
    slow,
    source_changed,
    stale,
    volume,
)
from apps.alerts.rule_kinds.kind import Kind
from apps.json import JsonObject

RULE_KINDS: dict[str, Kind] = {
    "run_failed": run_failed.KIND,
    "failed_in_a_row": failed_in_a_row.KIND,
    "late": late.KIND,
    "stale": stale.KIND,
    "slow": slow.KIND,
    "volume": volume.KIND,
    "source_changed": source_changed.KIND,
    "limit_near": limit_near.KIND,
    "limit_reached": limit_reached.KIND,
    "credential_ends": credential_ends.KIND,
    "no_worker": no_worker.KIND,
    "no_storage": no_storage.KIND,
}

NAMES = tuple(RULE_KINDS)
PIPELINE_KINDS = tuple(name for name, kind in RULE_KINDS.items() if kind.watch is None)


class DescribedKind(TypedDict):
    """What a page needs for the form of a rule. `settings` is a JSON Schema."""

    kind: str
    title: str
    description: str
    settings: JsonObject
    scopes: list[str]


def described_rule_kinds(hidden: Collection[str]) -> list[DescribedKind]:
    return [
        {
            "kind": name,
            "title": kind.title,
            "description": kind.description,
            "settings": kind.settings,
            "scopes": list(kind.scopes),
        }
        for name, kind in RULE_KINDS.items()
        if name not in hidden
    ]
