"""Find out in constant memory whether a walk through pages comes back to a page that it has read.

A trail stores the first and the last places, and a sample of all places, which is thinned out as the walk goes on. So
most loops are found a few places after they close. One more place is moved forward at growing distances (Brent's
algorithm), which finds every loop of L places that begins after S places after at most about 3 * (L + S) places.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

RECENT = 16  # places
FIRST = 8
SAMPLED = 24
WIDTH = 10  # hexadecimal digits that are stored of a digest


@dataclass
class Trail:
    """The places of a walk, as digests."""

    recent: list[str] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    sample: list[str] = field(default_factory=list)
    level: int = 0  # one of 2 ** level places is in the sample
    anchor: str = ""
    distance: int = 0  # from the anchor to the newest place
    limit: int = 1  # the distance at which the anchor moves to the newest place

    @classmethod
    def from_json(cls, value: Any) -> Trail:
        if not value or len(value) != 7:  # none, or that of an earlier release
            return cls()
        recent, first, sample, level, anchor, distance, limit = value
        places = {"recent": _split(recent), "first": _split(first), "sample": _split(sample)}
        return cls(
            **places, level=int(level), anchor=str(anchor), distance=int(distance), limit=int(limit)
        )

    def to_json(self) -> list[Any]:
        places = ("".join(places) for places in (self.recent, self.first, self.sample))
        return [*places, self.level, self.anchor, self.distance, self.limit]

    def __contains__(self, digest: str) -> bool:
        place = digest[:WIDTH]
        return place == self.anchor or any(
            place in places for places in (self.recent, self.first, self.sample)
        )

    def add(self, digest: str) -> bool:
        """Add a place, by a digest in hexadecimal digits. Return whether it is one of the stored places."""
        place = digest[:WIDTH]
        was_there = digest in self
        self.recent = [*self.recent, place][-RECENT:]
        self.first = [*self.first, place][:FIRST]
        self._add_to_sample(place)
        self.distance += 1
        if self.distance >= self.limit:
            self.anchor, self.distance, self.limit = place, 0, self.limit * 2
        return was_there

    def _add_to_sample(self, place: str) -> None:
        """Keep the place if its digest ends in `level` zero bits, so that a place is always or never kept."""
        if place not in self.sample and int(place, 16) % 2**self.level == 0:
            self.sample = [*self.sample, place]
        while len(self.sample) > SAMPLED:
            self.level += 1
            self.sample = [kept for kept in self.sample if int(kept, 16) % 2**self.level == 0]


def _split(text: str) -> list[str]:
    return [text[start : start + WIDTH] for start in range(0, len(text), WIDTH)]


def digest(value: Any, size: int = 8) -> str:
    """Return a digest of a JSON value with `size` bytes."""
    text = json.dumps(value, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=size).hexdigest()
