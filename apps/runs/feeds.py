"""What a stream says before it is live, and where it reads what it missed: of one run, or of an org."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from apps.orgs.tenancy import org_scope
from apps.runs import snapshots
from apps.runs.events import dumps
from apps.runs.hub import Notice, frame
from apps.runs.models import Feed, Run
from apps.runs.states import ENDED

ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Missed:
    """Frames a client has not seen, the number of the last, and whether nothing can follow it now."""

    frames: tuple[bytes, ...]
    last: int
    ended: bool = False


class Source(ABC):
    """One numbered stream. Its reads are short units of synchronous work, each in its own scope."""

    def __init__(self, org_id: UUID, key: UUID) -> None:
        self.org_id = org_id
        self.key = key

    @abstractmethod
    def begin(self) -> Missed:
        """For a client that knows nothing, or whose place is no longer kept."""

    @abstractmethod
    def newest(self) -> int:
        """The last number given out."""

    @abstractmethod
    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        """(number, kind, body) of at most ROWS_AT_ONCE kept events after this number, in order."""

    def after(self, seen: int) -> Missed:
        """Everything since `seen`. When that is not kept any more, what `begin` says."""
        with org_scope(self.org_id):
            newest = self.newest()
            if seen == newest:
                return Missed((), seen, self.is_over())
            rows = self.rows(seen)
        if seen > newest or not rows or rows[-1][0] != seen + len(rows):  # some were removed
            return self.begin()
        frames = tuple(frame(*row) for row in rows)
        last, kind, _ = rows[-1]
        return Missed(frames, last, ended=kind == "end" and last == newest)

    def is_over(self) -> bool:
        """Whether nothing follows the newest event."""
        return False


class RunSource(Source):
    """Snapshots, progress, log and end of one run."""

    def begin(self) -> Missed:
        with org_scope(self.org_id):
            shown = snapshots.run(org_id=self.org_id, run_id=self.key)
        number: int = shown["event_sequence"]
        frames = [frame(number, "run", dumps(shown))]
        ended = shown["status"] in ENDED
        if ended:
            frames.append(frame(number, "end", dumps({"status": shown["status"]})))
        return Missed(tuple(frames), number, ended)

    def newest(self) -> int:
        return int(self._run().values_list("event_sequence", flat=True).get())

    def is_over(self) -> bool:
        return bool(self._run().filter(status__in=ENDED).exists())

    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        return _rows(
            """SELECT sequence, kind, body::text FROM runs_event
               WHERE org_id = %s AND run_id = %s AND sequence > %s ORDER BY sequence LIMIT %s""",
            [self.org_id, self.key, after, ROWS_AT_ONCE],
        )

    def _run(self) -> Any:
        return Run.objects.for_org(self.org_id).filter(pk=self.key)


class OrgSource(Source):
    """States of all runs of an org; progress passes by, unnumbered."""

    def begin(self) -> Missed:
        with org_scope(self.org_id):
            number = self.newest()
        return Missed((frame(number, "hello", dumps({"sequence": number})),), number)

    def newest(self) -> int:
        found = Feed.objects.for_org(self.org_id).values_list("sequence", flat=True).first()
        return int(found or 0)

    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        return _rows(
            """SELECT org_sequence, kind, body::text FROM runs_event
               WHERE org_id = %s AND org_sequence > %s ORDER BY org_sequence LIMIT %s""",
            [self.org_id, after, ROWS_AT_ONCE],
        )


def is_next(notice: Notice, seen: int) -> bool:
    """Whether this notice follows directly on what was seen and carries its body."""
    return notice.number == seen + 1 and bool(notice.frame)


def _rows(statement: str, parameters: list[Any]) -> Sequence[tuple[int, str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: Sequence[tuple[int, str, str]] = cursor.fetchall()
    return found
