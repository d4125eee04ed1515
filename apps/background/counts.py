"""Counts over all orgs for `/metrics`, read with the operators' database role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections

WAITING_REASONS = (
    "worker",
    "organization_limit",
    "platform_limit",
    "organization_closed",
    "next_attempt",
    "start_time",
)
TOTALS_SQL = """
    SELECT (SELECT count(*) FROM orgs_org),
           (SELECT count(*) FROM pipelines_pipeline WHERE enabled),
           (SELECT extract(epoch FROM now() - min(next_run_at)) FROM pipelines_schedule WHERE next_run_at < now()),
           (SELECT count(*) FROM alerts_undecidedrun)
"""
LIVE_SQL = """
    SELECT s.status, count(r.id) FROM (VALUES ('pending'), ('running')) s (status)
    LEFT JOIN runs_run r ON r.status = s.status GROUP BY 1
"""
# The same reasons as in apps.runs.claiming.admission, which explains the waiting runs of one org.
WAITING_SQL = """
    WITH running AS (SELECT org_id, count(*) AS of_org FROM runs_run WHERE status = 'running' GROUP BY 1)
    SELECT CASE
        WHEN r.not_before > now() AND r.attempt > 0 THEN 'next_attempt'
        WHEN r.not_before > now() THEN 'start_time'
        WHEN o.suspended_at IS NOT NULL OR o.deletion_at IS NOT NULL THEN 'organization_closed'
        WHEN running.of_org >= o.max_running THEN 'organization_limit'
        WHEN (SELECT sum(of_org) FROM running) >= %s THEN 'platform_limit'
        ELSE 'worker' END AS reason, count(*)
    FROM runs_run r JOIN orgs_org o ON o.id = r.org_id LEFT JOIN running ON running.org_id = r.org_id
    WHERE r.status = 'pending' GROUP BY 1
"""
# For each org, an index finds the runs of the last hour.
ENDED_SQL = """
    SELECT e.status, e.failure_class, count(*), sum(e.attempt), sum(e.crashes)
    FROM orgs_org o CROSS JOIN LATERAL (
        SELECT r.status, r.failure_class, r.attempt, r.crashes FROM runs_run r
        WHERE r.org_id = o.id AND r.finished_at > now() - interval '1 hour') e
    GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts over all orgs.

    `live` counts the runs that have not ended, by status, and `waiting` the pending ones, by reason. `ended` counts the
    runs that ended in the last hour, by status and failure class. `attempts` counts their attempts, and
    `crashed_attempts` those whose process or worker died. `schedule_lag` is the age in seconds of the oldest scheduled time without a run.
    `undecided_runs` counts the ended runs about which deciding on alerts has failed, and is repeated.
    """

    orgs: int
    enabled_pipelines: int
    schedule_lag: float
    live: dict[str, int]
    waiting: dict[str, int]
    ended: dict[tuple[str, str], int]
    attempts: int
    crashed_attempts: int
    undecided_runs: int


def count_over_orgs() -> Counts:
    try:
        ((orgs, pipelines, lag, undecided),) = _fetch(TOTALS_SQL)
        waiting = dict.fromkeys(WAITING_REASONS, 0)
        waiting.update(_fetch(WAITING_SQL, settings.MAX_RUNNING_PLATFORM))
        ended = _fetch(ENDED_SQL)
        return Counts(
            orgs=orgs,
            enabled_pipelines=pipelines,
            schedule_lag=float(lag or 0.0),
            live=dict(_fetch(LIVE_SQL)),
            waiting=waiting,
            ended={(status, failure_class): count for status, failure_class, count, _, _ in ended},
            attempts=sum(int(row[3]) for row in ended),
            undecided_runs=undecided,
            crashed_attempts=sum(int(row[4]) for row in ended),
        )
    finally:
        connections["ops"].close()


def _fetch(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections["ops"].cursor() as cursor:
        cursor.execute(sql, list(values))
        return list(cursor.fetchall())
