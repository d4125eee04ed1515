"""What a freshness page shows: the state of each of its pipelines, and their incidents.

Nothing else of a pipeline or of an alert leaves this module: no ids of theirs, no messages of failures, no names of people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from apps.alerts.freshness_pages.services import entries
from apps.alerts.models import Alert, FreshnessPage
from apps.auth.mailing import links
from apps.orgs.exceptions import NotFound
from apps.orgs.walls.scope import org_scope
from apps.pipelines.schedules.freshness import FRESHNESS, freshness_by_id

# What the alerts of these rules mean for readers. Other rules are about how a pipeline works, not about its data. The kind is the
# one that the rule had when it opened the alert.
INCIDENT_KINDS = {
    "run_failed": "failed",
    "failed_in_a_row": "failed",
    "late": "late",
    "stale": "no_new_data",
}
MAX_READ, MAX_INCIDENTS = 500, 50


@dataclass(frozen=True, slots=True)
class PipelineState:
    """A pipeline under its public name. `id` is that of the entry of the page. `freshness` is one of FRESHNESS."""

    id: UUID
    name: str
    freshness: str
    updated_at: datetime | None  # the end of the last run that has succeeded


@dataclass(frozen=True, slots=True)
class Incident:
    """A time in which a pipeline did not deliver. It is open without `closed_at`."""

    pipeline_id: UUID  # that of the entry of the page
    pipeline_name: str
    kind: str
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What readers see. `freshness` is the most urgent one of the pipelines."""

    title: str
    freshness: str
    pipelines: list[PipelineState]
    incidents: list[Incident]  # open ones first, then the newest
    incident_days: int


def read_by_token(token: str) -> Contents:
    """Return the contents of the page with this link.

    Raises NotFound for an unknown link, and in the same way if the page is not enabled or its org is closed.
    """
    digest = links.digest(token)
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_of_freshness_page(%s)", [digest])
        (org_id,) = cursor.fetchone()
    if org_id is None:
        raise NotFound
    with org_scope(org_id):
        pages = FreshnessPage.objects.for_org(org_id).filter(digest=digest, enabled=True)
        if (page := pages.first()) is None:  # it was changed since its org was found
            raise NotFound
        return read(page)


def find_pipeline(contents: Contents, entry_id: UUID) -> PipelineState:
    """Return the pipeline with this id on the page. Raises NotFound."""
    for pipeline in contents.pipelines:
        if pipeline.id == entry_id:
            return pipeline
    raise NotFound


def read(page: FreshnessPage) -> Contents:
    """Return what readers of the page see. The number of queries is constant."""
    shown = list(entries(page.org_id, [page.pk]))
    states = freshness_by_id(page.org_id, [entry.pipeline_id for entry in shown])
    by_pipeline = {
        entry.pipeline_id: PipelineState(
            id=entry.pk,
            name=entry.name or entry.pipeline.name,
            freshness=states[entry.pipeline_id],
            updated_at=entry.pipeline.last_success_at,
        )
        for entry in shown
    }
    pipelines = list(by_pipeline.values())
    return Contents(
        title=page.title,
        freshness=most_urgent(pipeline.freshness for pipeline in pipelines),
        pipelines=pipelines,
        incidents=_read_incidents(page, by_pipeline),
        incident_days=page.incident_days,
    )


def most_urgent(states: Iterable[str]) -> str:
    return min(states, key=FRESHNESS.index, default=FRESHNESS[-1])


def _read_incidents(
    page: FreshnessPage, by_pipeline: Mapping[UUID, PipelineState]
) -> list[Incident]:
    since = timezone.now() - timedelta(days=page.incident_days)
    alerts = (
        Alert.objects.for_org(page.org_id)
        .filter(
            Q(closed_at=None) | Q(closed_at__gt=since),
            pipeline_id__in=list(by_pipeline),
            cause__rule__kind__in=list(INCIDENT_KINDS),
        )
        .order_by(F("closed_at").desc(nulls_first=True), "-opened_at", "id")
        .values_list("pipeline_id", "cause__rule__kind", "opened_at", "closed_at")[:MAX_READ]
    )
    found = [
        Incident(
            pipeline_id=by_pipeline[pipeline_id].id,
            pipeline_name=by_pipeline[pipeline_id].name,
            kind=INCIDENT_KINDS[rule_kind],
            opened_at=opened_at,
            closed_at=closed_at,
        )
        for pipeline_id, rule_kind, opened_at, closed_at in alerts
    ]
    newest_first = sorted(merge_overlapping(found), key=lambda one: one.opened_at, reverse=True)
    open_first = sorted(newest_first, key=lambda one: one.closed_at is not None)
    return open_first[:MAX_INCIDENTS]


def merge_overlapping(incidents: Sequence[Incident]) -> list[Incident]:
    """Return one incident where several rules have found the same: those of a pipeline and kind that overlap."""
    merged: dict[tuple[UUID, str], list[Incident]] = {}
    for incident in sorted(incidents, key=lambda one: one.opened_at):
        same = merged.setdefault((incident.pipeline_id, incident.kind), [])
        last = same[-1] if same else None
        if last is None or (last.closed_at is not None and last.closed_at < incident.opened_at):
            same.append(incident)
        else:
            same[-1] = _joined(last, incident)
    return [incident for same in merged.values() for incident in same]


def _joined(first: Incident, second: Incident) -> Incident:
    ends = [incident.closed_at for incident in (first, second) if incident.closed_at is not None]
    return Incident(
        pipeline_id=first.pipeline_id,
        pipeline_name=first.pipeline_name,
        kind=first.kind,
        opened_at=first.opened_at,
        closed_at=max(ends) if len(ends) == 2 else None,
    )
