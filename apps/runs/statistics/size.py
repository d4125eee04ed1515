"""How large this installation is and how busy its workers are, for `manage.py size`. Read with the operators' database role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from django.conf import settings
from django.db import connections

from apps.background import registry
from apps.background.counts import count_over_orgs

DAYS = 7
LARGEST_TABLES = 8
BUSY_SHARE = 0.7  # of the places in the busiest hour, from which another worker is advised
LONG_WAIT = 60  # seconds
RUNS_SQL = """
    SELECT count(*), count(*) FILTER (WHERE status = 'failed'), coalesce(sum(records_written), 0),
           count(*) FILTER (WHERE started_at > created_at + make_interval(secs => %s))
    FROM runs_run WHERE created_at > now() - interval '1 day'
"""
# The seconds of the newest attempt of each run, divided among the hours in which it ran.
BUSIEST_SQL = """
    SELECT hour, count(*), sum(extract(epoch FROM
        least(coalesce(finished_at, now()), hour + interval '1 hour') - greatest(claimed_at, hour))) / 3600
    FROM runs_run, generate_series(date_trunc('hour', claimed_at), coalesce(finished_at, now()), interval '1 hour') hour
    WHERE claimed_at > now() - make_interval(days => %s)
    GROUP BY hour ORDER BY 3 DESC, hour LIMIT 1
"""
# A worker process has a row for each of its queues.
QUEUES_SQL = """
    SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '1 minute'
"""
TABLES_SQL = """
    SELECT c.relname, nullif(c.reltuples, -1)::bigint, pg_total_relation_size(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY 3 DESC, 1 LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class BusiestHour:
    """The hour of the last DAYS in which most runs ran at once. `running` is their average number."""

    at: datetime
    runs: int
    running: float


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the database. `rows` is PostgreSQL's estimate, None before the first; `bytes` has the indexes too."""

    name: str
    rows: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the installation. `runs`, `failed`, `records` and `waited` are those of the last 24 hours.

    `waited` counts runs that began more than LONG_WAIT after they were due. `places` is the number of runs that the living
    workers can execute at once, if all have the default concurrency.
    """

    orgs: int
    pipelines: int
    runs: int
    failed: int
    records: int
    waited: int
    busiest: BusiestHour | None
    workers: int
    places: int
    database_bytes: int
    tables: tuple[Table, ...]


def read_size() -> Size:
    counts = count_over_orgs()
    try:
        ((runs, failed, records, waited),) = _fetch(RUNS_SQL, LONG_WAIT)
        busiest = [BusiestHour(at, n, float(mean)) for at, n, mean in _fetch(BUSIEST_SQL, DAYS)]
        ((served_queues,),) = _fetch(QUEUES_SQL)
        ((database_bytes,),) = _fetch("SELECT pg_database_size(current_database())")
        tables = tuple(Table(*row) for row in _fetch(TABLES_SQL, LARGEST_TABLES))
    finally:
        connections["ops"].close()
    workers = ceil(served_queues / len(registry.queues()))
    return Size(
        orgs=counts.orgs,
        pipelines=counts.enabled_pipelines,
        runs=runs,
        failed=failed,
        records=int(records),
        waited=waited,
        busiest=busiest[0] if busiest else None,
        workers=workers,
        places=workers * settings.WORKER_CONCURRENCY,
        database_bytes=database_bytes,
        tables=tables,
    )


def advice(size: Size) -> list[str]:
    """Return what to change, or that nothing has to be changed."""
    if not size.workers:
        return ["No worker is alive: start one with `manage.py worker`."]
    found = []
    share = size.busiest.running / size.places if size.busiest else 0.0
    if share >= BUSY_SHARE:
        found.append(
            f"In the busiest hour {share:.0%} of the places were in use: add a worker, or raise DROVER_WORKER_CONCURRENCY if "
            "its machine has cores and memory left."
        )
    if size.waited:
        found.append(
            f"{size.waited:,} of {size.runs:,} runs began more than a minute late. If no limit of an organization held them "
            "back (drover_runs_waiting in /metrics), add a worker."
        )
    return found or ["The workers are sufficient."]


def _fetch(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections["ops"].cursor() as cursor:
        cursor.execute(sql, list(values))
        return list(cursor.fetchall())
