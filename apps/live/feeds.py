"""The reads of a stream: its first frames, and missed events. For a subject, or for an org."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from apps.live import subjects
from apps.live.events import dumps
from apps.live.hub import Notice, frame
from apps.orgs.walls.scope import org_scope

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Backlog:
    """The frames that a client has not received yet, the number of the last one, and whether the stream has ended."""

    frames: tuple[bytes, ...]
    last: int
    ended: bool = False


class EventFeed(ABC):
    """One numbered stream. Its reads are short units of synchronous work, each in its own scope."""

    def __init__(self, org_id: UUID, key: UUID) -> None:
        self.org_id = org_id
        self.key = key

    @abstractmethod
    def begin(self) -> Backlog:
        """Return the first frames for a new client, or for one whose last event was deleted."""

    @abstractmethod
    def newest(self) -> int:
        """Return the last number that was used."""

    @abstractmethod
    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        """Return (number, kind, body) of at most ROWS_AT_ONCE stored events after this number, in order."""

    def after(self, seen: int) -> Backlog:
        """Return everything after `seen`; if that was deleted, the frames of `begin`."""
        with org_scope(self.org_id):
            newest = self.newest()
            if seen == newest:
                return Backlog((), seen, self.is_over())
            rows = self.rows(seen)
        if seen > newest or not rows or rows[-1][0] != seen + len(rows):  # Some were deleted.
            return self.begin()
        frames = tuple(frame(*row) for row in rows)
        last, kind, _ = rows[-1]
        return Backlog(frames, last, ended=kind == "end" and last == newest)

    def is_over(self) -> bool:
        """Whether nothing follows the newest event."""
        return False


class OrgFeed(EventFeed):
    """The org's events, such as state changes of its runs; events of other kinds are sent live without a number."""

    def begin(self) -> Backlog:
        with org_scope(self.org_id):
            number = self.newest()
        return Backlog((frame(number, "hello", dumps({"sequence": number})),), number)

    def newest(self) -> int:
        found = rows_of("SELECT sequence FROM runs_feed WHERE org_id = %s", [self.org_id])
        return int(found[0][0]) if found else 0

    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        tables = [subject.event_table for subject in subjects.all_subjects()]
        each = " UNION ALL ".join(
            f"SELECT org_sequence, kind, body::text FROM {table} WHERE org_id = %s AND org_sequence > %s"  # noqa: S608
            for table in tables
        )
        return rows_of(
            f"{each} ORDER BY org_sequence LIMIT %s",
            [*[self.org_id, after] * len(tables), ROWS_AT_ONCE],
        )


def is_next(notice: Notice, seen: int) -> bool:
    """Whether this notice has the next number and contains its body."""
    return notice.number == seen + 1 and bool(notice.frame)


def rows_of(statement: str, parameters: Sequence[Any]) -> Sequence[Any]:
    """Return the rows of a statement, run inside the org's scope."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: Sequence[Any] = cursor.fetchall()
    return found
