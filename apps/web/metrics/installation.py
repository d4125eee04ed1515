"""The metrics of the whole installation, from its database. `GET /metrics` and OpenTelemetry have the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import connection

from apps.background import counts, health

Sample = tuple[Mapping[str, str], float]  # labels, value
MEANINGS = {
    "drover_queue_waiting": "Jobs that are waiting for a worker.",
    "drover_queue_oldest_seconds": "Age of the oldest waiting job of the queue system, which has ticks, recovery and sweeps.",
    "drover_worker_heartbeat_age_seconds": "Time since the last heartbeat of a worker.",
    "drover_scheduler_tick_age_seconds": "Time since the scheduler's last tick.",
    "drover_organizations": "Organizations.",
    "drover_pipelines_enabled": "Enabled pipelines.",
    "drover_schedule_lag_seconds": "Age of the oldest scheduled time whose run was not started, also if its pipeline still has a run.",
    "drover_runs": "Runs that have not ended.",
    "drover_runs_waiting": "Runs that wait, by what they wait for.",
    "drover_runs_ended_last_hour": "Runs that ended in the last hour, by failure class.",
    "drover_attempts_last_hour": "Attempts of the runs that ended.",
    "drover_attempts_crashed_last_hour": "Those of them whose process or worker died.",
    "drover_alerts_undecided_runs": "Ended runs about which deciding on alerts has failed, and is repeated each minute.",
}


def read() -> dict[str, list[Sample]]:
    """Return the samples of each metric. A metric without a value has none."""
    return {**_read_queue(), **_read_runs()}


def read_alone() -> dict[str, list[Sample]]:
    """Read outside of a request or job, and leave no connection open."""
    try:
        return read()
    finally:
        connection.close()


def _read_queue() -> dict[str, list[Sample]]:
    queue = health.read_queue_state()
    return {
        "drover_queue_waiting": _one(queue.waiting),
        "drover_queue_oldest_seconds": _one(queue.oldest_short_job_age),
        "drover_worker_heartbeat_age_seconds": _one(queue.heartbeat_age),
        "drover_scheduler_tick_age_seconds": _one(queue.tick_age),
    }


def _read_runs() -> dict[str, list[Sample]]:
    found = counts.count_over_orgs()
    return {
        "drover_organizations": _one(found.orgs),
        "drover_pipelines_enabled": _one(found.enabled_pipelines),
        "drover_schedule_lag_seconds": _one(found.schedule_lag),
        "drover_runs": _by("status", sorted(found.live.items())),
        "drover_runs_waiting": _by("reason", found.waiting.items()),
        "drover_runs_ended_last_hour": [
            ({"status": status, "failure_class": failure_class}, count)
            for (status, failure_class), count in found.ended.items()
        ],
        "drover_attempts_last_hour": _one(found.attempts),
        "drover_attempts_crashed_last_hour": _one(found.crashed_attempts),
        "drover_alerts_undecided_runs": _one(found.undecided_runs),
    }


def _one(value: float | None) -> list[Sample]:
    return [] if value is None else [({}, value)]


def _by(label: str, counted: Iterable[tuple[str, float]]) -> list[Sample]:
    return [({label: name}, count) for name, count in counted]
