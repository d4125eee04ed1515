"""The event stream of a run: states, progress, numbers of its streams, changes at the source, log and end."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from apps.live.events import dumps
from apps.live.feeds import MAX_ROWS, Backlog, EventFeed, fetch_rows
from apps.live.frames import Frame
from apps.live.subjects import Subject
from apps.orgs.exceptions import NotFound
from apps.orgs.principals import Principal
from apps.orgs.walls.scope import org_scope
from apps.runs import snapshots, visibility
from apps.runs.models import ENDED, Run


class RunFeed(EventFeed):
    """Snapshots, progress, log and end of one run."""

    def first_backlog(self) -> Backlog:
        with org_scope(self.org_id):
            snapshot = snapshots.run(org_id=self.org_id, run_id=self.key)
        number: int = snapshot["event_sequence"]
        frames = [Frame(number, "run", dumps(snapshot))]
        has_ended = snapshot["status"] in ENDED
        if has_ended:
            frames.append(Frame(number, "end", dumps({"status": snapshot["status"]})))
        return Backlog(tuple(frames), number, has_ended)

    def newest_number(self) -> int:
        return int(self._run().values_list("event_sequence", flat=True).get())

    def is_over(self) -> bool:
        return bool(self._run().filter(status__in=ENDED).exists())

    def rows(self, after: int) -> Sequence[tuple[int, str, str]]:
        return fetch_rows(
            """SELECT sequence, kind, body::text FROM runs_event
               WHERE org_id = %s AND run_id = %s AND sequence > %s ORDER BY sequence LIMIT %s""",
            [self.org_id, self.key, after, MAX_ROWS],
        )

    def _run(self) -> QuerySet[Run]:
        return Run.objects.for_org(self.org_id).filter(pk=self.key)


def feed_for(principal: Principal, run_id: UUID) -> RunFeed:
    """Return the feed of a run that the principal can see. Raises NotFound. Call it inside the org's scope."""
    org_id = principal.require_org()
    if not visibility.runs(org_id, principal).filter(pk=run_id).exists():
        raise NotFound
    return RunFeed(org_id, run_id)


RUN_SUBJECT = Subject(
    event_table="runs_event",
    id_column="run_id",
    table="runs_run",
    org_kinds=frozenset({"run", "drift"}),
    live_only_kinds=frozenset({"progress", "streams"}),
    path="runs/<uuid:key>",
    feed=feed_for,
)
