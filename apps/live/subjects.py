"""The registry of subjects: kinds of objects whose events can be followed, such as runs. Each app registers its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.orgs.principals import Principal


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A kind of object whose events are stored and can be followed.

    `event_table` is the table of its events, with the columns org_id, `id_column` (the id of the object),
    sequence, org_sequence, kind, body and at. `table` is the table of the objects. Its column event_sequence
    has the number of the newest event. Each writer of an event locks the object's row.
    """

    event_table: str
    id_column: str
    table: str
    org_kinds: frozenset[str]  # kinds of stored events that also belong to the org's event stream
    # Kinds that the org's event stream sends only live, without a number.
    live_only_kinds: frozenset[str]
    path: str  # path of the object below /api/v1, as in Django's routes, such as "runs/<uuid:key>"
    # Returns a `feeds.EventFeed` for this principal. Raises NotFound.
    feed: Callable[[Principal, UUID], Any]


_registered: list[Subject] = []


def register(subject: Subject) -> None:
    """Register a subject for the hub, the org's event stream and the routes of event streams."""
    if subject not in _registered:
        _registered.append(subject)


def all_subjects() -> list[Subject]:
    return list(_registered)


def is_live_only(kind: str) -> bool:
    """Whether the org's event stream sends events of this kind only live, without a number."""
    return any(kind in subject.live_only_kinds for subject in _registered)
