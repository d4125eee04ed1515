"""Claim user ids for sandboxed code. No account on this machine has one of these ids.

Two sandboxes never have the same id at the same time. A sandbox claims its id in a folder that all workers share,
including the workers in other containers.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from apps.engine.failures import SourceError
from apps.engine.sandbox import claims

FIRST_UID, UID_COUNT = 61_184, 4_336  # systemd's range for dynamic users of services


def claim_user_id(folder: Path) -> Path:
    """Claim an unused user id and return the path of the claim, whose name is the id.

    Raises SourceError when all ids are in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start = secrets.randbelow(UID_COUNT)
    for offset in range(UID_COUNT):
        path = folder / str(FIRST_UID + (start + offset) % UID_COUNT)
        if claims.claim_path(path):
            return path
    raise SourceError("Too many sandboxes are running on this machine. Try again later.")
