"""Say how many things there are."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return the number and the noun, whose plural ends with an s: "1 stream", "1,200 streams"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
