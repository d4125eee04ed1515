"""The kinds of subjects that can be followed. Each app registers its own; a run is one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.orgs.principals import Principal


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A kind of object whose events are stored and can be followed.

    `event_table` is the table of its events, with the columns org_id, `id_column` (the id of the object),
    sequence, org_sequence, kind, body and at. `table` is the table of the objects; its column event_sequence has
    the last number used, and each writer of an event locks its row.
    """

    event_table: str
    id_column: str
    table: str
    org_kinds: frozenset[str]  # kinds that the org's stream stores, with a second number
    live_only_kinds: frozenset[str]  # kinds that the org's stream only sends live, without a number
    path: re.Pattern[str]  # pattern of its stream's path; the group `key` is the id
    feed: Callable[
        [Principal, UUID], Any
    ]  # returns a `feeds.EventFeed` for this principal; raises NotFound


_registered: list[Subject] = []


def register(subject: Subject) -> None:
    """Register a kind with the hub, the org's stream and the routes."""
    if subject not in _registered:
        _registered.append(subject)


def all_subjects() -> list[Subject]:
    return list(_registered)


def is_live_only(kind: str) -> bool:
    """Whether events of this kind are only sent live in the org's stream, and not stored there."""
    return any(kind in subject.live_only_kinds for subject in _registered)
