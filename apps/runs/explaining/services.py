"""Explain why a pipeline is late, failing, waiting or empty, with evidence from what Drover has stored."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.slow_calls import SlowCall
from apps.pipelines.schedules.services import schedule_of
from apps.pipelines.visibility import find_pipeline
from apps.runs import queries, snapshots, visibility
from apps.runs.explaining.changes import change_evidence
from apps.runs.explaining.findings import Evidence, Explanation, PipelineFacts, run_path
from apps.runs.explaining.results import result_evidence
from apps.runs.explaining.suggestions import suggest_change
from apps.runs.explaining.timing import timing_evidence
from apps.runs.models import Run, Status
from apps.runs.outputs import log_pages, logs
from apps.runs.outputs.log_pages import LogResult
from apps.runs.snapshots import RunSnapshot

MAX_RUNS = 10
LOG_LINES_READ = 2000  # at the end of the log
LOG_LINES_SHOWN = 3


def explain(*, org: Org, by: Principal, pipeline_id: UUID) -> SlowCall[Explanation]:
    """Return the call that explains the pipeline's state. Only reading the log of a run is slow. Raises NotFound."""
    facts = _load_facts(org, by, pipeline_id)
    suggestion = suggest_change(facts)
    is_healthy = facts.is_healthy and suggestion is None
    evidence = _stored_evidence(facts, is_healthy=is_healthy)
    explanation = Explanation(pipeline_id, facts.pipeline.name, is_healthy, evidence, suggestion)
    run = facts.run_with_problems

    def recheck_access(principal: Principal) -> object:
        return find_pipeline(org=org, by=principal, pipeline_id=pipeline_id)

    if run is None:
        return SlowCall(lambda: explanation, recheck_access)
    read_log = _log_call(org, by, run).run

    def load() -> Explanation:
        quotes = "\n".join(found.quote for found in evidence)
        lines = [line for line in _log_evidence(run, read_log()) if line.quote not in quotes]
        return replace(explanation, evidence=(*evidence, *lines))

    return SlowCall(load, recheck_access)


def _stored_evidence(facts: PipelineFacts, *, is_healthy: bool) -> tuple[Evidence, ...]:
    """Return the evidence without lines of the log. That of a healthy pipeline begins with its last run."""
    timing, results = timing_evidence(facts), result_evidence(facts)
    first, second = (results, timing) if is_healthy else (timing, results)
    return (*first, *second, *change_evidence(facts))


def _load_facts(org: Org, by: Principal, pipeline_id: UUID) -> PipelineFacts:
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    rows = visibility.runs(org, by).filter(pipeline=pipeline)
    last_success = _newest(org, rows.filter(status=Status.SUCCEEDED))
    failures = _created_after(last_success, rows.filter(status=Status.FAILED))
    with_records, first_empty = _empty_runs(org, rows.filter(status=Status.SUCCEEDED), last_success)
    return PipelineFacts(
        org=org,
        by=by,
        pipeline=pipeline,
        schedule=schedule_of(org, pipeline),
        runs=queries.newest_runs(rows, org_id=org.pk, limit=MAX_RUNS),
        last_success=last_success,
        first_failure=_oldest(org, failures),
        failure_count=failures.count(),
        last_run_with_records=with_records,
        first_empty_run=first_empty,
        now=timezone.now(),
    )


def _empty_runs(
    org: Org, successes: QuerySet[Run], newest: RunSnapshot | None
) -> tuple[RunSnapshot | None, RunSnapshot | None]:
    """Return the last run that read records, and the first run after it that read none, if the newest read none."""
    if newest is None or newest["progress"]["read"] > 0:
        return None, None
    with_records = _newest(org, successes.filter(records_read__gt=0))
    return with_records, _oldest(org, _created_after(with_records, successes))


def _created_after(run: RunSnapshot | None, rows: QuerySet[Run]) -> QuerySet[Run]:
    return rows if run is None else rows.filter(created_at__gt=run["created_at"])


def _oldest(org: Org, rows: QuerySet[Run]) -> RunSnapshot | None:
    oldest_id = rows.order_by("created_at", "id").values_list("id", flat=True).first()
    return snapshots.run(org_id=org.pk, run_id=oldest_id) if oldest_id else None


def _newest(org: Org, rows: QuerySet[Run]) -> RunSnapshot | None:
    return next(iter(queries.newest_runs(rows, org_id=org.pk, limit=1)), None)


def _log_call(org: Org, by: Principal, run: RunSnapshot) -> SlowCall[LogResult]:
    return log_pages.read(
        org=org,
        by=by,
        run_id=run["id"],
        offset=max(0, run["log_lines"] - LOG_LINES_READ),
        limit=LOG_LINES_READ,
        level="warning",
    )


def _log_evidence(run: RunSnapshot, log: LogResult) -> list[Evidence]:
    """Return the last lines as evidence, with the numbers that the run's page shows: the first line is line 1."""
    return [
        Evidence(
            f"Line {line['line'] + 1} of the log, {line['level']}",
            f"{run_path(run)}?line={line['line'] + 1}",
            quote=str(line["message"])[:500],
            by_code=logs.is_by_code(line["fields"]),
        )
        for line in log.page.lines[-LOG_LINES_SHOWN:]
    ]
