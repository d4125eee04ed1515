"""Say the cause of a failure once. Libraries repeat it in the texts of nested exceptions and in a log line for each retry."""

from __future__ import annotations

from collections.abc import Iterable

MIN_CAUSE = 10  # characters; a shorter text may occur in other lines by chance


def without_repetition(message: str, lines: Iterable[str]) -> list[str]:
    """Return each line once, without the lines that repeat the cause that the message names."""
    cause = message.partition(": ")[2].rstrip(". ")
    if len(cause) < MIN_CAUSE:
        cause = message
    return [line for line in dict.fromkeys(lines) if cause not in line]
