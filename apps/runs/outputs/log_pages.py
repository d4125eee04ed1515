"""A page of a run's log, for whoever can see the run."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.questions import Question
from apps.runs import visibility
from apps.runs.keeping import retention
from apps.runs.models import ENDED
from apps.runs.outputs import logs
from apps.runs.outputs.logs import LogPage


@dataclass(frozen=True, slots=True)
class ShownLog:
    """A page of a log, and what is told of the whole of it. Line numbers begin at 0."""

    page: LogPage
    total: int  # lines there have been so far
    removed: int  # of them, the first ones
    complete: bool  # nothing follows this page, nor ever will
    note: str

    @property
    def next_offset(self) -> int | None:
        return self.page.next_offset if self.page.next_offset < self.total else None


def read(
    *, org: Org, by: Principal, run_id: UUID, offset: int, limit: int, level: str | None
) -> Question[ShownLog]:
    """Lines from `offset` on, of this level and the graver ones. Raises NotFound."""
    run = visibility.readable_run(org=org, by=by, run_id=run_id)
    found = logs.parts(org_id=org.pk, run_id=run_id, offset=offset, level=level)
    note = retention.note(org, run)

    def ask() -> ShownLog:
        try:
            page = logs.page(found, offset=offset, limit=limit, level=level, total=run.log_lines)
        except FileNotFoundError:  # removed meanwhile?
            if not retention.log_is_gone(run):
                raise
            page = LogPage([], run.log_lines)
        complete = run.status in ENDED and page.next_offset >= run.log_lines
        return ShownLog(page, run.log_lines, run.log_removed, complete, note)

    return Question(ask, lambda later: visibility.readable_run(org=org, by=later, run_id=run_id))
