"""Values as people read them in messages."""

from __future__ import annotations

from datetime import UTC, datetime


def time_in_words(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else "an unknown time"


def duration_in_words(seconds: float) -> str:
    """Return seconds below two minutes, minutes below two hours, or hours."""
    for limit, unit, name in ((120, 1, "second"), (7200, 60, "minute")):
        if seconds < limit:
            return _plural(round(seconds / unit), name)
    return f"{seconds / 3600:.1f} hours"


def count_in_words(count: float) -> str:
    return f"{round(count):,}"


def bytes_in_words(count: float) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else _plural(round(count), "byte")


def _plural(count: int, name: str) -> str:
    return f"{count} {name}{'s' if count != 1 else ''}"
