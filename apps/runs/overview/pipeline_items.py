"""The pipelines, connectors and limits that need attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Count, Max, OuterRef, Subquery
from django.utils import timezone

from apps.connectors.services import connectors
from apps.engine.failures import FailureClass
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.pipelines.drift.services import UNDECIDED
from apps.pipelines.models import PipelineStream, SourceChange, StreamState
from apps.pipelines.visibility import connectors_that_work, pipelines
from apps.runs.models import LIVE, ORDINARY_RUNS, Run, Status
from apps.runs.next_steps import SIDES, next_step, sides_to_check
from apps.runs.overview.attention import MAX_READ, Fix, Item
from apps.runs.usage import counting

COLUMNS = (
    "id", "name", "domain_id", "failing_since", "late_at", "last_run_id", "last_run_status",
    "source_connector_id", "source_connector__name", "destination_connector_id", "destination_connector__name",
)  # fmt: skip
FAILURE_COLUMNS = ("id", "status", "failure_class", "failure_message", "failure_retryable")

Row = Mapping[str, Any]


def failing_pipelines(org: Org, by: Principal) -> list[Item]:
    """Return the pipelines whose last run failed. Makes two queries."""
    newest_failed_run = (
        Run.objects.for_org(org)
        .filter(ORDINARY_RUNS, pipeline_id=OuterRef("pk"), status=Status.FAILED)
        .order_by("-created_at", "-id")
    )
    rows = list(
        pipelines(org, by)
        .filter(enabled=True, failing_since__isnull=False)
        .annotate(failed_run=Subquery(newest_failed_run.values("pk")[:1]))
        .order_by("-failing_since", "id")[:MAX_READ]
        .values(*COLUMNS, "failed_run")
    )
    failed_runs = Run.objects.for_org(org).filter(pk__in=[row["failed_run"] for row in rows])
    runs = {run["id"]: run for run in failed_runs.values(*FAILURE_COLUMNS)}
    return [_failing(row, runs.get(row["failed_run"]), by) for row in rows]


def _failing(row: Row, run: Row | None, by: Principal) -> Item:
    is_live = row["last_run_status"] in LIVE
    if is_live or run is None or not run["failure_class"]:
        fixes = [_open_last_run(row)]
    else:
        fixes = list(_fixes_of_failure(row, run, by))
    return Item(
        kind="failing",
        id=row["id"],
        name=row["name"],
        cause=run["failure_message"] if run else "The last run failed.",
        fixes=fixes,
        since=row["failing_since"],
        pipeline_id=row["id"],
        run_id=run["id"] if run else row["last_run_id"],
        failure_class=run["failure_class"] if run else "",
        retrying=is_live,
    )


def _fixes_of_failure(row: Row, run: Row, by: Principal) -> Iterator[Fix]:
    """Yield what can be done about a failure of this class and with this message, the best first."""
    may_run = by.may(Permission.PIPELINES_RUN, domain_id=row["domain_id"])
    may_edit = by.may(Permission.PIPELINES_EDIT, domain_id=row["domain_id"])
    failure, retryable = FailureClass(run["failure_class"]), run["failure_retryable"]
    retry = [Fix("retry", run["id"])] if may_run else []
    if retryable:
        yield from retry
    if may_edit:
        saved = [
            side for side in sides_to_check(failure) if row[f"{side}_connector_id"] is not None
        ]
        for side in saved:
            label = f"{side} {row[f'{side}_connector__name']}"
            yield Fix("open_connector", row[f"{side}_connector_id"], label)
        step = next_step(failure, run["failure_message"], retryable=retryable)
        if "reset the stream" in step.lower():
            yield Fix("reset_stream", row["id"])
        elif failure == FailureClass.CONTRACT or (
            failure == FailureClass.CONFIGURATION and len(saved) < len(SIDES)
        ):
            yield Fix("open_configuration", row["id"])
    yield Fix("open_run", run["id"])


def late_pipelines(org: Org, by: Principal) -> list[Item]:
    """Return the pipelines that are late and not failing. Makes one query."""
    rows = (
        pipelines(org, by)
        .filter(enabled=True, failing_since=None, late_at__lte=timezone.now())
        .order_by("-late_at", "id")[:MAX_READ]
        .values(*COLUMNS)
    )
    return [_late(row, by) for row in rows]


LATE_CAUSES = {
    Status.PENDING: "Its run is waiting in the queue.",
    Status.RUNNING: "Its run takes longer than before.",
    Status.CANCELLED: "Its last run was cancelled, and none has succeeded since.",
    Status.SUCCEEDED: "No run has succeeded since the last scheduled time.",
}


def _late(row: Row, by: Principal) -> Item:
    is_live = row["last_run_status"] in LIVE
    fixes = []
    if not is_live and by.may(Permission.PIPELINES_RUN, domain_id=row["domain_id"]):
        fixes.append(Fix("run", row["id"]))
    fixes.append(_open_last_run(row))
    return Item(
        kind="late",
        id=row["id"],
        name=row["name"],
        cause=LATE_CAUSES.get(row["last_run_status"], "It has never run."),
        fixes=fixes,
        since=row["late_at"],
        pipeline_id=row["id"],
        run_id=row["last_run_id"],
        retrying=is_live,
    )


def _open_last_run(row: Row) -> Fix:
    if row["last_run_id"] is None:
        return Fix("open_pipeline", row["id"])
    return Fix("open_run", row["last_run_id"])


def undecided_changes(org: Org, by: Principal) -> list[Item]:
    """Return the pipelines with changes at the source that nobody has accepted or ignored. Makes one query."""
    rows = (
        SourceChange.objects.for_org(org)
        .filter(decision__in=UNDECIDED, pipeline__in=pipelines(org, by))
        .values("pipeline_id", "pipeline__name", "pipeline__domain_id")
        .annotate(count=Count("pk"), since=Max("created_at"))
        .order_by("-since", "pipeline_id")[:MAX_READ]
    )
    return [
        Item(
            kind="changes",
            id=row["pipeline_id"],
            name=row["pipeline__name"],
            cause=f"{_count(row['count'], 'change')} at the source {_wait(row['count'])} for a decision.",
            fixes=[_decide(row, by)],
            since=row["since"],
            pipeline_id=row["pipeline_id"],
        )
        for row in rows
    ]


def waiting_streams(org: Org, by: Principal) -> list[Item]:
    """Return the pipelines whose patterns have found streams that nobody has added or ignored. Makes one query."""
    rows = (
        PipelineStream.objects.for_org(org)
        .filter(state=StreamState.WAITING, pipeline__in=pipelines(org, by))
        .values("pipeline_id", "pipeline__name", "pipeline__domain_id")
        .annotate(count=Count("pk"))
        .order_by("-count", "pipeline_id")[:MAX_READ]
    )
    return [
        Item(
            kind="streams",
            id=row["pipeline_id"],
            name=row["pipeline__name"],
            cause=f"{_count(row['count'], 'new stream')} {_wait(row['count'])} for a decision.",
            fixes=[_decide(row, by)],
            pipeline_id=row["pipeline_id"],
        )
        for row in rows
    ]


def _decide(row: Row, by: Principal) -> Fix:
    may_decide = by.may(Permission.PIPELINES_EDIT, domain_id=row["pipeline__domain_id"])
    return Fix("decide" if may_decide else "open_pipeline", row["pipeline_id"])


def failing_connectors(org: Org, by: Principal) -> list[Item]:
    """Return the connectors whose last check failed, and with which no run has worked since. Makes one query."""
    failing = connectors(org, by).filter(~connectors_that_work(org, by), check_ok=False)
    rows = failing.order_by("-checked_at", "id")[:MAX_READ]
    return [
        Item(
            kind="connector",
            id=row["id"],
            name=row["name"],
            cause="The last connection test failed.",
            fixes=[Fix("open_connector", row["id"], f"{row['role']} {row['name']}")],
            since=row["checked_at"],
        )
        for row in rows.values("id", "name", "role", "checked_at")
    ]


LIMIT_LABELS = {
    "rows_month": "Records per month",
    "bytes_month": "Bytes per month",
    "pipelines": "Pipelines",
    "members": "Members",
    "file_bytes": "Storage for data files",
}


def limits(org: Org, by: Principal) -> list[Item]:
    """Return the limits that are reached or nearly reached. A key of one domain does not see them. Makes five queries."""
    if by.only_domain is not None:
        return []
    # Runs that wait because others run are listed with the queue.
    near = [
        measure
        for measure in counting.read_measures(org)
        if measure.state != "ok" and measure.name in LIMIT_LABELS
    ]
    return [
        Item(
            kind="limit_reached" if measure.state == "reached" else "limit_near",
            id=measure.name,
            name=LIMIT_LABELS[measure.name],
            cause=_cause_of_limit(measure),
            fixes=[Fix("open_usage")],
        )
        for measure in near
    ]


def _cause_of_limit(measure: counting.Measure) -> str:
    share = round(100 * measure.used / measure.limit) if measure.limit else 100
    if measure.state != "reached":
        return f"{share}% of the limit is used."
    if measure.name in counting.MONTHLY_LIMITS:
        return "The limit is reached. New runs fail until next month, or until an admin raises it."
    return "The limit is reached."


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _wait(count: int) -> str:
    return "waits" if count == 1 else "wait"


PROVIDERS = (
    failing_pipelines,
    late_pipelines,
    undecided_changes,
    waiting_streams,
    failing_connectors,
    limits,
)
