"""What can be followed. Each app registers its own kinds; a run is one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.orgs.principals import Principal


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A kind of thing whose events are kept and can be followed.

    `events` is the table of its events, with the columns org_id, `column` (the id of the thing), sequence,
    org_sequence, kind, body and at. `things` is the table of the things themselves; its column event_sequence
    holds the last number given out, and its row is locked by whoever publishes.
    """

    events: str
    column: str
    things: str
    of_org: frozenset[str]  # kinds that the org's stream keeps, numbered a second time
    passing: frozenset[str]  # kinds that pass by in the org's stream, without a number
    path: re.Pattern[str]  # of its stream; the group `key` is the id
    feed: Callable[
        [Principal, UUID], Any
    ]  # a `feeds.EventFeed` for this principal; raises NotFound


_registered: list[Subject] = []


def register(subject: Subject) -> None:
    """Make a kind known to the hub, the org's stream and the routes."""
    if subject not in _registered:
        _registered.append(subject)


def all_subjects() -> list[Subject]:
    return list(_registered)


def passes_by(kind: str) -> bool:
    """Whether events of this kind are shown in the org's stream while they happen, and not kept there."""
    return any(kind in subject.passing for subject in _registered)
