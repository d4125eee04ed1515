"""Examples for the OpenAPI document."""

from __future__ import annotations

from typing import Any

ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20"
CONNECTOR_ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10"

SCHEDULE: dict[str, Any] = {
    "cron": "0 */6 * * *",
    "interval_seconds": None,
    "timezone": "Europe/Paris",
    "overlap": "skip",
    "misfire": "run_once",
    "jitter_seconds": 0,
    "blackouts": [{"weekdays": ["saturday"], "start": "22:00", "end": "06:00"}],
    "end_date": None,
    "paused_at": None,
    "paused_note": "",
}
CONFIG: dict[str, Any] = {
    "source": {
        "connector_id": CONNECTOR_ID,
        "kind": "postgres",
        "config": None,
    },
    "streams": [
        {
            "stream": "public.flights",
            "table": "flights",
            "sync_mode": "full_refresh",
            "cursor_field": None,
            "primary_key": ["id"],
            "write_mode": "replace",
            "transforms": [],
        }
    ],
    "destination": {"connector_id": None, "kind": "parquet", "config": {}},
}
SOURCE_ONLY: dict[str, Any] = {
    "source": {"connector_id": CONNECTOR_ID},
    "streams": [{"stream": "public.flights", "primary_key": ["id"]}],
}
ROW: dict[str, Any] = {
    "id": ID,
    "name": "Flights",
    "description": "",
    "domain": None,
    "tags": ["daily"],
    "enabled": True,
    "version": 1,
    "source_kind": "postgres",
    "destination_kind": "parquet",
    "stream": "public.flights",
    "stream_count": 1,
    "schedule": SCHEDULE,
    "next_run_at": "2026-11-22T11:00:00Z",
    "last_run": {
        "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f30",
        "status": "succeeded",
        "kind": "ordinary",
        "finished_at": "2026-11-22T05:01:07Z",
        "records": 336776,
        "duration_seconds": 66.8,
    },
    "freshness": "fresh",
    "last_success_at": "2026-11-22T05:01:07Z",
    "failing_since": None,
    "late_at": "2026-11-22T13:00:00Z",
    "created_at": "2026-11-20T08:00:00Z",
    "updated_at": "2026-11-20T08:00:00Z",
}
DETAIL: dict[str, Any] = {
    **ROW,
    "schedule": {**SCHEDULE, "paused_by": None},
    "config": CONFIG,
    "timeout_seconds": 21600,
    "max_attempts": 3,
    "warnings": [],
}
CHANGED: dict[str, Any] = {**DETAIL, "unchecked": []}
CREATE_REQUEST: dict[str, Any] = {
    "name": "Flights",
    "tags": ["daily"],
    "schedule": {"cron": "0 */6 * * *", "timezone": "Europe/Paris"},
    "config": {**SOURCE_ONLY, "destination": {"kind": "parquet", "config": {}}},
}
