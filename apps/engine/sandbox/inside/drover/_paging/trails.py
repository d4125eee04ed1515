"""Find out in constant memory whether a walk through pages comes back to a page that it has read.

A trail stores the last places, which finds short loops at once, and one older place, which is moved forward at
growing distances (Brent's algorithm). So a loop of L places that begins after S places is found after at most about
3 * (L + S) places, however long it is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

RECENT = 16  # places


@dataclass
class Trail:
    """The places of a walk, as digests."""

    recent: list[str] = field(default_factory=list)
    anchor: str = ""
    distance: int = 0  # from the anchor to the newest place
    limit: int = 1  # the distance at which the anchor moves to the newest place

    @classmethod
    def from_json(cls, value: Any) -> Trail:
        if not value:
            return cls()
        recent, anchor, distance, limit = value
        return cls(list(recent), str(anchor), int(distance), int(limit))

    def to_json(self) -> list[Any]:
        return [self.recent, self.anchor, self.distance, self.limit]

    def add(self, digest: str) -> bool:
        """Add a place. Return whether it is one of the stored places."""
        was_there = digest in self.recent or digest == self.anchor
        self.recent = [*self.recent, digest][-RECENT:]
        self.distance += 1
        if self.distance >= self.limit:
            self.anchor, self.distance, self.limit = digest, 0, self.limit * 2
        return was_there


def digest(value: Any, size: int = 8) -> str:
    """Return a digest of a JSON value with `size` bytes."""
    text = json.dumps(value, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=size).hexdigest()
