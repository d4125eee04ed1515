"""A change may name the version its caller has read: it is refused when somebody else was faster."""

from __future__ import annotations

from datetime import datetime

from apps.orgs.exceptions import ChangedMeanwhile

Match = frozenset[str] | None  # the versions the caller accepts; None accepts any


def require_match(match: Match, version: int | str) -> None:
    """Raise ChangedMeanwhile unless this version, of a locked object, is one the caller accepts."""
    if match is not None and str(version) not in match:
        raise ChangedMeanwhile


def of_time(changed: datetime) -> str:
    """The version of a row that keeps only when it was changed last: that time, to the microsecond."""
    return f"{changed.timestamp():.6f}"
