"""User ids for sandboxed code: ids without an account on this machine, each used by one sandbox at a time.

They are claimed in a folder shared by all workers, so that two containers do not use the same id.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from apps.engine.failures import SourceError
from apps.engine.sandbox import claims

FIRST, COUNT = 61_184, 4_336  # systemd's range for dynamic users of services


def claimed(folder: Path) -> Path:
    """Claim a user id that nobody else uses; the claim's name is the id. Raises SourceError when all are in use."""
    folder.mkdir(parents=True, exist_ok=True)
    first = secrets.randbelow(COUNT)
    for number in range(COUNT):
        path = folder / str(FIRST + (first + number) % COUNT)
        if claims.claim_exactly(path):
            return path
    raise SourceError("Too many sandboxes are running on this machine; try again later.")
