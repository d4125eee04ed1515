"""Versions of objects. A caller can send the version that it has read. If the object has changed, the request fails."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from apps.orgs.exceptions import ChangedMeanwhile

Match = frozenset[str] | None  # the versions that the caller accepts; None accepts any


class HasTimeOfChange(Protocol):
    updated_at: datetime


def require_match(match: Match, version: int | str) -> None:
    """Raise ChangedMeanwhile unless the caller accepts this version. Lock the object first."""
    if match is not None and str(version) not in match:
        raise ChangedMeanwhile


def version_of_time(changed_at: datetime) -> str:
    """Return the version of a row that has no version number: the time of its last change, in microseconds."""
    return f"{changed_at.timestamp():.6f}"


def version_of_settings(row: HasTimeOfChange | None) -> str:
    """Return the version of settings of which an org has at most one row. While there is no row it is `none`."""
    return version_of_time(row.updated_at) if row else "none"
