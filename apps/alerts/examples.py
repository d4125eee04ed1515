"""Examples in the OpenAPI document."""

from __future__ import annotations

from typing import Any

CHANNEL: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f61",
    "name": "On call",
    "kind": "webhook",
    "settings": {
        "url": "https://hooks.example.com/drover",
        "secret": {"set": True, "last4": "9f2c"},
    },
    "timing": {"kind": "at_once"},
    "held_until": None,
    "enabled": True,
    "failing_since": None,
    "disabled_reason": "",
    "last_delivery": {
        "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f66",
        "state": "sent",
        "answer_status": 200,
        "problem": "",
        "created_at": "2026-11-22T06:00:41.120Z",
        "sent_at": "2026-11-22T06:00:41.450Z",
    },
    "editable": True,
    "created_at": "2026-11-20T08:00:00Z",
    "updated_at": "2026-11-20T08:00:00Z",
}
CHANNEL_KIND: dict[str, Any] = {
    "kind": "slack",
    "title": "Slack",
    "description": "A message in a channel of Slack, Mattermost or Rocket.Chat.",
    "settings": {
        "type": "object",
        "properties": {"url": {"type": "string", "title": "URL", "writeOnly": True}},
        "required": ["url"],
    },
    "opens_incidents": False,
}
NEW_CHANNEL: dict[str, Any] = {
    "name": "On call",
    "kind": "webhook",
    "settings": {"url": "https://hooks.example.com/drover", "secret": "correct-horse-9f2c"},
}
RULE_KIND: dict[str, Any] = {
    "kind": "failed_in_a_row",
    "title": "Several runs fail in a row",
    "description": "Runs have failed after their retries, one after the other. Cancelled runs do not count.",
    "settings": {
        "type": "object",
        "properties": {
            "threshold": {
                "type": "integer",
                "title": "Failed runs in a row",
                "minimum": 2,
                "maximum": 100,
                "default": 3,
            }
        },
        "required": [],
        "additionalProperties": False,
    },
    "scopes": ["org", "domain", "tag", "pipeline"],
}
RULE: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f62",
    "kind": "run_failed",
    "settings": {},
    "sentence": "A run fails",
    "scope": "tag",
    "scope_id": None,
    "scope_name": "",
    "tag": "daily",
    "channel_ids": [CHANNEL["id"]],
    "urgent": False,
    "enabled": True,
    "snooze": None,
    "created_at": "2026-11-20T08:00:00Z",
    "updated_at": "2026-11-20T08:00:00Z",
}
NEW_RULE: dict[str, Any] = {
    "kind": "run_failed",
    "scope": "tag",
    "tag": "daily",
    "channel_ids": [CHANNEL["id"]],
}
EVENT: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f63",
    "kind": "opened",
    "at": "2026-11-22T06:00:41.120Z",
    "alert_id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f64",
    "opened_at": "2026-11-22T06:00:41.120Z",
    "rule": {"id": RULE["id"], "kind": "run_failed", "settings": {}, "scope": "tag"},
    "subject": {
        "kind": "pipeline",
        "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20",
        "name": "Orders",
        "url": "https://drover.example.com/pipelines/0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20",
    },
    "pipeline": {
        "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20",
        "name": "Orders",
        "url": "https://drover.example.com/pipelines/0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f20",
    },
    "run": {
        "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f30",
        "status": "failed",
        "trigger": "schedule",
        "attempts": 3,
        "url": "https://drover.example.com/runs/0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f30",
    },
    "summary": "has failed after 3 attempts",
    "measurement": None,
    "failure": {
        "class": "authentication",
        "message": "The source refused the password.",
        "retryable": False,
        "next_step": "Update the connector's password or key, test it, then retry.",
    },
}
MESSAGE: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f65",
    "sent_at": "2026-11-22T06:00:41.300Z",
    "organization": {"id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f01", "name": "Acme"},
    "channel": {"id": CHANNEL["id"], "name": CHANNEL["name"]},
    "count": 1,
    "events": [EVENT],
    "recovered_count": 0,
    "recovered": [],
}
DELIVERY: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f66",
    "channel": MESSAGE["channel"],
    "event_id": EVENT["id"],
    "message_id": MESSAGE["id"],
    "kind": "opened",
    "event": EVENT,
    "state": "sent",
    "attempts": 1,
    "next_attempt_at": None,
    "held_until": None,
    "answer_status": 200,
    "answer": "ok",
    "problem": "",
    "created_at": "2026-11-22T06:00:41.120Z",
    "sent_at": "2026-11-22T06:00:41.450Z",
}
SNOOZE_REQUEST: dict[str, Any] = {
    "until": "2026-11-23T08:00:00Z",
    "reason": "The source is migrated.",
}
OPEN_ALERT: dict[str, Any] = {
    "id": EVENT["alert_id"],
    "opened_at": EVENT["opened_at"],
    "rule_id": RULE["id"],
    "event": EVENT,
    "snooze": {**SNOOZE_REQUEST, "by": "ada@example.com", "created_at": "2026-11-22T07:00:00Z"},
}
RUN_ENDED: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f78",
    "kind": "run_ended",
    "at": "2026-11-22T08:05:00.123Z",
    "organization": {"id": MESSAGE["organization"]["id"]},
    "pipeline": EVENT["pipeline"],
    "run": {**EVENT["run"], "status": "succeeded", "attempts": 1},
    "records_written": 336776,
}
OPERATORS_MESSAGE: dict[str, Any] = {
    "id": "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f79",
    "at": "2026-11-22T08:05:00.123Z",
    "installation": "https://drover.example.com",
    "text": "workers: no worker lives. Start one.",
    "began": [
        {
            "part": "workers",
            "place": "",
            "seen": "no worker lives",
            "next_step": "Start one.",
            "began_at": "2026-11-22T08:03:00.000Z",
            "ended_at": None,
        }
    ],
    "ended": [],
}
