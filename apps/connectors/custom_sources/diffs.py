"""Compare two versions of a custom source."""

from __future__ import annotations

import difflib
from typing import Any

from apps.connectors.custom_sources import edits
from apps.connectors.custom_sources.serializers import MAX_COMPARED_LINES
from apps.connectors.models import CustomSource, CustomSourceVersion
from apps.orgs.models import Org


def diff(*, org: Org, source: CustomSource, before: int, after: int) -> dict[str, Any]:
    """Compare the code and the hosts of the versions with the numbers `before` and `after`.

    The number 0 stands for an empty version. Raises NotFound.
    """
    newer = edits.find_version(org, source, after)
    older = edits.find_version(org, source, before) if before else None
    old_hosts = older.report["hosts"] if older else []
    new_hosts = newer.report["hosts"]
    return {
        "before": before,
        "after": after,
        "diff": unified_diff(older, newer),
        "hosts_added": [host for host in new_hosts if host not in old_hosts],
        "hosts_removed": [host for host in old_hosts if host not in new_hosts],
    }


def unified_diff(older: CustomSourceVersion | None, newer: CustomSourceVersion) -> str | None:
    """Return a unified diff of the code, or None if there are too many lines.

    The time that difflib needs is quadratic, and a web request waits for it.
    """
    old_lines = older.code.splitlines(keepends=True) if older else []
    new_lines = newer.code.splitlines(keepends=True)
    if max(len(old_lines), len(new_lines)) > MAX_COMPARED_LINES:
        return None
    diff_lines = difflib.unified_diff(
        old_lines,
        new_lines,
        f"version {older.number}" if older else "nothing",
        f"version {newer.number}",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in diff_lines)
