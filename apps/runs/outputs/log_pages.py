"""Read a run's log, for principals who can see the run: a page, where lines match, and the whole log as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.slow_calls import SlowCall
from apps.runs import visibility
from apps.runs.keeping import retention
from apps.runs.models import ENDED
from apps.runs.outputs import logs
from apps.runs.outputs.logs import LogPage, MatchingParts


@dataclass(frozen=True, slots=True)
class LogResult:
    """A page of a log, and facts about the whole log. Line numbers begin at 0."""

    page: LogPage
    total: int  # lines written so far
    removed: int  # number of removed lines, from the start of the log
    complete: bool  # whether the run has ended and no line follows this page
    note: str

    @property
    def next_offset(self) -> int | None:
        return self.page.next_offset if self.page.next_offset < self.total else None


@dataclass(frozen=True, slots=True)
class MatchesResult:
    """Where lines of a log match, and the number of its lines."""

    found: MatchingParts
    total: int

    @property
    def next_offset(self) -> int | None:
        return self.found.next_offset if self.found.next_offset < self.total else None


@dataclass(frozen=True, slots=True)
class LogText:
    """The text of a whole log, and a name for its file."""

    lines: Iterator[str]
    name: str


def read(
    *,
    org: Org,
    by: Principal,
    run_id: UUID,
    offset: int,
    limit: int,
    level: str | None,
    text: str = "",
) -> SlowCall[LogResult]:
    """Return the call that reads lines from `offset` on, of this level and more severe levels. Raises NotFound."""
    run = visibility.find_run(org=org, by=by, run_id=run_id)
    parts = logs.find_parts(org_id=org.pk, run_id=run_id, offset=offset, level=level)
    note = retention.removal_note(org, run)

    def load() -> LogResult:
        try:
            page = logs.read_page(
                parts, offset=offset, limit=limit, level=level, total=run.log_lines, text=text
            )
        except FileNotFoundError:  # The log may have been removed in the meantime.
            if not retention.was_log_removed_since_read(run):
                raise
            page = LogPage([], run.log_lines)
        complete = run.status in ENDED and page.next_offset >= run.log_lines
        return LogResult(page, run.log_lines, run.log_removed, complete, note)

    return SlowCall(
        load, lambda principal: visibility.find_run(org=org, by=principal, run_id=run_id)
    )


def count_matches(
    *, org: Org, by: Principal, run_id: UUID, offset: int, level: str | None, text: str = ""
) -> SlowCall[MatchesResult]:
    """Return the call that counts the matching lines of each part, from the part with line `offset` on.

    Raises NotFound.
    """
    run = visibility.find_run(org=org, by=by, run_id=run_id)
    parts = logs.find_parts(
        org_id=org.pk,
        run_id=run_id,
        offset=offset,
        level=level,
        limit=logs.MAX_COUNTED_PARTS,
    )

    def load() -> MatchesResult:
        try:
            found = logs.count_matches(parts, level=level, text=text, total=run.log_lines)
        except FileNotFoundError:  # The log may have been removed in the meantime.
            if not retention.was_log_removed_since_read(run):
                raise
            found = MatchingParts([], run.log_lines)
        return MatchesResult(found, run.log_lines)

    return SlowCall(
        load, lambda principal: visibility.find_run(org=org, by=principal, run_id=run_id)
    )


def as_text(*, org: Org, by: Principal, run_id: UUID) -> LogText:
    """Return the whole log as text. It is read from storage while it is sent. Raises NotFound."""
    visibility.find_run(org=org, by=by, run_id=run_id)
    parts = logs.find_parts(org_id=org.pk, run_id=run_id, offset=0, level=None, limit=None)
    return LogText(logs.as_text(parts), f"run-{run_id}.log")
