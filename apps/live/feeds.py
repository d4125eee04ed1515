"""Read stored events for an event stream: the first frames for a new client, or the events that a client missed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from apps.live import subjects
from apps.live.events import dumps
from apps.live.frames import Frame
from apps.live.hub import Notice
from apps.orgs.walls.scope import org_scope

MAX_ROWS = 500


@dataclass(frozen=True, slots=True)
class Backlog:
    """The frames that a client has not received yet, the number of the last event, and whether the stream has ended."""

    frames: tuple[Frame, ...]
    last: int
    ended: bool = False


class EventFeed(ABC):
    """The numbered events of one event stream. Each read is short and synchronous, and opens its own scope."""

    def __init__(self, org_id: UUID, key: UUID) -> None:
        self.org_id = org_id
        self.key = key

    @abstractmethod
    def first_backlog(self) -> Backlog:
        """Return the first frames for a new client, or for a client whose last event was deleted."""

    @abstractmethod
    def newest_number(self) -> int:
        """Return the number of the newest event."""

    @abstractmethod
    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        """Return (number, kind, body) of at most MAX_ROWS stored events after this number, in order."""

    def backlog_after(self, last_seen: int) -> Backlog:
        """Return the events after number `last_seen`, or `first_backlog` if not all of these events are stored."""
        with org_scope(self.org_id):
            newest = self.newest_number()
            if last_seen == newest:
                return Backlog((), last_seen, self.is_over())
            rows = self.rows(last_seen)
        if last_seen > newest or not rows or rows[-1][0] != last_seen + len(rows):
            return self.first_backlog()
        frames = tuple(Frame(*row) for row in rows)
        last, kind, _ = rows[-1]
        return Backlog(frames, last, ended=kind == "end" and last == newest)

    def is_over(self) -> bool:
        """Whether the newest event is the last event of this event stream."""
        return False


class OrgFeed(EventFeed):
    """The stored events of the org, such as state changes of its runs."""

    def first_backlog(self) -> Backlog:
        with org_scope(self.org_id):
            number = self.newest_number()
        return Backlog((Frame(number, "hello", dumps({"sequence": number})),), number)

    def newest_number(self) -> int:
        rows = fetch_rows("SELECT sequence FROM runs_feed WHERE org_id = %s", [self.org_id])
        return int(rows[0][0]) if rows else 0

    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        tables = [subject.event_table for subject in subjects.all_subjects()]
        union = " UNION ALL ".join(
            f"SELECT org_sequence, kind, body::text FROM {table} WHERE org_id = %s AND org_sequence > %s"  # noqa: S608
            for table in tables
        )
        return fetch_rows(
            f"{union} ORDER BY org_sequence LIMIT %s",
            [*[self.org_id, after] * len(tables), MAX_ROWS],
        )


def is_next(notice: Notice, last_seen: int) -> bool:
    """Whether this notice has the number after `last_seen`, and contains the event."""
    return notice.number == last_seen + 1 and notice.frame is not None


def fetch_rows(statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
    """Run a statement, and return its rows. Call this inside the org's scope."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: Sequence[Any] = cursor.fetchall()
    return rows
