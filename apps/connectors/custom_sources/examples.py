"""Examples for /custom-sources in the API documentation."""

from __future__ import annotations

from typing import Any

from apps.connectors.custom_sources import cookbook

ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f10"
CODE = cookbook.EXAMPLE_CODE
REPORT: dict[str, Any] = {
    "valid": True,
    "errors": [],
    "warnings": [],
    "source_name": "Shop",
    "description": "",
    "contract": "rest",
    "streams": [
        {
            "name": "orders",
            "sync_modes": ["full_refresh"],
            "primary_key": ["id"],
            "cursor_field": None,
        }
    ],
    "config_schema": {"type": "object", "properties": {"token": {"type": "string"}}},
    "secret_names": ["token"],
    "auth_type": "bearer",
    "hosts": ["api.example.com"],
}
ROW: dict[str, Any] = {
    "id": ID,
    "kind": f"custom-{ID}",
    "name": "Shop",
    "description": "",
    "origin": "editor",
    "repository_id": None,
    "repository_path": "",
    "latest_version": 2,
    "approved_version": 1,
    "archived": False,
    "created_at": "2026-11-27T10:00:00Z",
    "updated_at": "2026-11-27T10:00:00Z",
}
VERSION_ROW = {
    "number": 2,
    "note": "Orders by date",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "commit": "",
    "author": "",
    "hosts": ["api.example.com"],
    "created_at": "2026-11-27T10:00:00Z",
    "created_by": {"id": ID, "name": "Ada"},
    "approved_at": None,
    "approved_by": None,
}
VERSION = {**VERSION_ROW, "code": CODE, "report": REPORT}
DETAIL = {**ROW, "version": VERSION}
PREVIEW_ANSWER = {
    "ok": True,
    "records": [{"id": 1}],
    "rejected": 0,
    "skipped": 0,
    "left_out": [],
    "columns": [{"name": "id", "type": "integer", "nullable": True}],
    "ms": 310.5,
    "requests": [
        {"method": "GET", "url": "https://api.example.com/v1/orders", "status": 200, "ms": 81.0}
    ],
    "log": [{"level": "info", "message": "one page"}],
    "network": [
        {
            "host": "api.example.com",
            "port": 443,
            "address": "93.184.216.34",
            "refused": "",
            "connections": 1,
            "sent": 812,
            "received": 5120,
        }
    ],
    "isolation": "good (landlock, seccomp)",
    "failure": None,
}
