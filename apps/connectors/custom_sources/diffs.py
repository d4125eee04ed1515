"""Compare two versions of a custom source."""

from __future__ import annotations

import difflib
from typing import Any

from apps.connectors.custom_sources import edits
from apps.connectors.custom_sources.serializers import MAX_COMPARED
from apps.connectors.models import CustomSource, CustomSourceVersion
from apps.orgs.models import Org


def diff(*, org: Org, source: CustomSource, before: int, after: int) -> dict[str, Any]:
    """Return the diff of the code, and the added and removed hosts.

    `before` 0 means an empty version. Raises NotFound.
    """
    newer = edits.version(org, source, after)
    older = edits.version(org, source, before) if before else None
    old, new = older.report["hosts"] if older else [], newer.report["hosts"]
    return {
        "before": before,
        "after": after,
        "diff": _unified(older, newer),
        "hosts_added": [host for host in new if host not in old],
        "hosts_removed": [host for host in old if host not in new],
    }


def _unified(before: CustomSourceVersion | None, after: CustomSourceVersion) -> str | None:
    """Return a unified diff; None if there are too many lines: difflib takes quadratic time, and a web request
    waits for it.
    """
    old = before.code.splitlines(keepends=True) if before else []
    new = after.code.splitlines(keepends=True)
    if max(len(old), len(new)) > MAX_COMPARED:
        return None
    lines = difflib.unified_diff(
        old,
        new,
        f"version {before.number}" if before else "nothing",
        f"version {after.number}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
