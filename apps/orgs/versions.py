"""A change may name the version that its caller has read: it is refused if the object has changed since."""

from __future__ import annotations

from datetime import datetime

from apps.orgs.exceptions import ChangedMeanwhile

Match = frozenset[str] | None  # the versions that the caller accepts; None accepts any


def require_match(match: Match, version: int | str) -> None:
    """Raise ChangedMeanwhile unless this version, of a locked object, is one that the caller accepts."""
    if match is not None and str(version) not in match:
        raise ChangedMeanwhile


def of_time(changed: datetime) -> str:
    """Return the version of a row that stores only when it was last changed: that time, in microseconds."""
    return f"{changed.timestamp():.6f}"
