"""An org's usage this month and its limits. There is a warning at 80%, and runs stop at 100%."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.connectors.files import limits
from apps.engine import Failed, FailureClass
from apps.orgs.exceptions import LimitReached
from apps.orgs.models import Membership, Org
from apps.pipelines.models import Pipeline
from apps.runs.models import Run, Status, Usage

WARNING_SHARE = 0.8
MAX_MONTHS = 24


@dataclass(frozen=True, slots=True)
class Measure:
    """A counted quantity and its limit. `limit` is None if the quantity is unlimited."""

    name: str
    used: int
    limit: int | None

    @property
    def state(self) -> str:
        """`ok`, `warning` (from 80% of the limit on) or `reached`."""
        if self.limit is None:
            return "ok"
        if self.used >= self.limit:
            return "reached"
        return "warning" if self.used >= self.limit * WARNING_SHARE else "ok"


def this_month() -> date:
    return timezone.now().date().replace(day=1)


def read_measures(org: Org) -> list[Measure]:
    """Return all quantities that can have a limit. Makes five queries."""
    month = read_month(org.pk)
    running = Run.objects.for_org(org).filter(status=Status.RUNNING).count()
    pipelines = Pipeline.objects.for_org(org).count()
    members = Membership.objects.for_org(org).filter(user__kind="person").count()
    return [
        Measure("rows_month", month.rows, org.max_rows_month),
        Measure("bytes_month", month.bytes, org.max_bytes_month),
        Measure("running", running, org.max_running),
        Measure("pipelines", pipelines, org.max_pipelines),
        Measure("members", members, org.max_members),
        Measure("file_bytes", limits.stored_bytes(org.pk), settings.FILES_SIZE_PER_ORG),
    ]


def read_month(org_id: UUID) -> Usage:
    """Return the usage row of this month, or a new unsaved row."""
    row = Usage.objects.for_org(org_id).filter(month=this_month()).first()
    return row or Usage(org_id=org_id, month=this_month())


def read_months(org: Org) -> list[Mapping[str, Any]]:
    """Return the newest MAX_MONTHS months that have usage, newest first."""
    rows = Usage.objects.for_org(org).order_by("-month")[:MAX_MONTHS]
    return list(rows.values("month", "rows", "bytes", "runs"))


def reached_limit(org: Org) -> Measure | None:
    """Return the measure whose monthly limit is reached, or None."""
    if org.max_rows_month is None and org.max_bytes_month is None:
        return None
    month = read_month(org.pk)
    for measure in (
        Measure("rows_month", month.rows, org.max_rows_month),
        Measure("bytes_month", month.bytes, org.max_bytes_month),
    ):
        if measure.state == "reached":
            return measure
    return None


def require_below_limits(org: Org) -> None:
    """Raise LimitReached if no more records may be moved this month."""
    if (measure := reached_limit(org)) is not None and measure.limit is not None:
        raise LimitReached(MONTHLY_LIMITS[measure.name], measure.limit)


def limit_failure(measure: Measure) -> Failed:
    """Return the failure of a run that is stopped because it reached the limit of `measure`."""
    return Failed(
        FailureClass.CONFIGURATION,
        f"The organization's limit of {measure.limit:,} {MONTHLY_LIMITS[measure.name]} is reached.",
        (
            f"used this month: {measure.used:,}",
            "Retry this run next month, or once an admin has raised the limit: it continues from the last checkpoint. "
            "A new run reads its stream from the beginning, or from the saved position.",
        ),
        retryable=False,
    )


MONTHLY_LIMITS = {"rows_month": "records per month", "bytes_month": "bytes per month"}
