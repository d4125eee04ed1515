"""The request and response schemas of snoozes and open alerts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.alerts.serializers import AlertEvent, SnoozePart
from apps.orgs.http.texts import NameField


class SnoozeRequest(serializers.Serializer[Any]):
    until = serializers.DateTimeField(help_text="Within the next 30 days.")
    reason = NameField(max_length=200, required=False, allow_blank=True, default="")


class OpenAlertRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    opened_at = serializers.DateTimeField()
    rule_id = serializers.UUIDField()
    event = AlertEvent(help_text="What has opened it.")
    snooze = SnoozePart(allow_null=True)
