"""The differences of two definitions, as the audit log has them."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from apps.pipelines.history import diffs

TRANSFORMS_FIELD = re.compile(r"config\.(streams\.\d+|patterns)\.transforms")


def audit_changes(changes: list[diffs.Change]) -> dict[str, list[Any]]:
    """Return the changes for the audit log. They contain the digest of code; the code itself is in the versions."""
    values = {f"config.{row['field']}": [row["before"], row["after"]] for row in changes}
    for field in filter(TRANSFORMS_FIELD.fullmatch, values):
        values[field] = [_digests(transforms) for transforms in values[field]]
    return values


def _digests(transforms: Any) -> Any:
    if transforms is None:  # A new pipeline had no transforms before.
        return None
    return [
        {"kind": item["kind"], "sha256": hashlib.sha256(item["code"].encode()).hexdigest()}
        for item in transforms
    ]
