"""Register the queue, the sweep and the exports of this app. Its rows are erased with the org, and it has no others."""

from __future__ import annotations

from apps.alerts.follow_ups import calls
from apps.alerts.follow_ups.models import FollowUp, FollowUpCall
from apps.alerts.installation import checks
from apps.alerts.installation import sending as to_operators
from apps.alerts.models import (
    Alert,
    Channel,
    Delivery,
    FreshnessPage,
    FreshnessPagePipeline,
    Rule,
    RuleChannel,
    Snooze,
    UndecidedRun,
)
from apps.alerts.sending import delivering, queue
from apps.background.registry import (
    Check,
    Export,
    Queue,
    add_checks,
    add_exports,
    add_queue,
    add_sweep,
    add_test_sender,
)

add_queue(Queue(queue.QUEUE, concurrency=4))
add_queue(Queue(calls.QUEUE, concurrency=4))
add_sweep(delivering.remove_old)
add_sweep(to_operators.remove_old)
add_checks(Check("operators", checks.check_operators), Check("heartbeat", checks.check_heartbeat))
add_test_sender(checks.send_test)
add_sweep(calls.remove_old)
add_exports(
    Export(
        "alert_channel",
        Channel,
        ("id", "name", "kind", "settings", "timing", "enabled", "disabled_reason", "created_at"),
    ),
    Export(
        "alert_rule",
        Rule,
        (
            *(
                "id",
                "kind",
                "settings",
                "scope",
                "domain_id",
                "tag",
                "pipeline_id",
                "urgent",
                "enabled",
            ),
            "created_at",
        ),
    ),
    Export("alert_rule_channel", RuleChannel, ("id", "rule_id", "channel_id")),
    Export(
        "alert",
        Alert,
        (
            *("id", "rule_id", "subject_kind", "subject_key", "pipeline_id"),
            *("opened_at", "closed_at", "cause"),
        ),
    ),
    Export(
        "alert_snooze", Snooze, ("id", "rule_id", "alert_id", "until", "reason", "by", "created_at")
    ),
    Export(
        "alert_undecided_run", UndecidedRun, ("id", "pipeline_id", "run", "tries", "created_at")
    ),
    Export(
        "alert_delivery",
        Delivery,
        (
            *("id", "channel_id", "alert_id", "event_id", "message_id", "kind", "payload", "state"),
            *("attempts", "answer_status", "problem", "created_at", "sent_at"),
        ),
    ),
    Export(
        "freshness_page", FreshnessPage, ("id", "title", "enabled", "incident_days", "created_at")
    ),
    Export(
        "freshness_page_pipeline",
        FreshnessPagePipeline,
        ("id", "page_id", "pipeline_id", "name", "position"),
    ),
    Export(
        "follow_up",
        FollowUp,
        ("id", "pipeline_id", "name", "kind", "after", "settings", "enabled", "created_at"),
    ),
    Export(
        "follow_up_call",
        FollowUpCall,
        (
            *("id", "follow_up_id", "run_id", "payload", "state", "attempts", "answer_status"),
            *("problem", "created_at", "sent_at"),
        ),
    ),
)
