"""Users for sandboxed code: numbers that nobody has on this machine, each for one sandbox at a time.

They are claimed in a folder that all who share it see, so that two containers do not give out the same one.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from apps.engine.failures import SourceError
from apps.engine.sandbox import claims

FIRST, COUNT = 61_184, 4_336  # systemd's range for users that exist for one service only


def claimed(folder: Path) -> Path:
    """The claim of a user nobody else has; its name is the number. Raises SourceError when all are taken."""
    folder.mkdir(parents=True, exist_ok=True)
    first = secrets.randbelow(COUNT)
    for number in range(COUNT):
        path = folder / str(FIRST + (first + number) % COUNT)
        if claims.claim_exactly(path):
            return path
    raise SourceError("Too much code runs at once on this machine; try again later.")
