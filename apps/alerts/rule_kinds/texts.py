"""Values as people read them in messages."""

from __future__ import annotations

from datetime import UTC, datetime


def time_in_words(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else "an unknown time"
