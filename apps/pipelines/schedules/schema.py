"""The schemas of a schedule in requests and answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.pipelines.models import Misfire, Overlap
from apps.pipelines.schedules.blackouts import MAX_WINDOWS, WEEKDAYS

SCHEDULE_SCHEMA = {
    "oneOf": [
        {"type": "null"},
        {"type": "string", "description": "Five cron fields, in UTC.", "maxLength": 100},
        {
            "type": "object",
            "description": "Either cron or interval_seconds is required.",
            "properties": {
                "cron": {"type": ["string", "null"], "maxLength": 100},
                "interval_seconds": {"type": ["integer", "null"], "minimum": 60},
                "timezone": {"type": "string", "description": "IANA name.", "default": "UTC"},
                "overlap": {"enum": Overlap.values, "default": "skip"},
                "misfire": {"enum": Misfire.values, "default": "run_once"},
                "jitter_seconds": {
                    "type": "integer", "minimum": 0, "maximum": 3600, "default": 0,
                },
                "blackouts": {
                    "type": "array",
                    "maxItems": MAX_WINDOWS,
                    "items": {"$ref": "#/components/schemas/BlackoutWindow"},
                    "description": "Only a person starts the pipeline within these windows. Times within are skipped, or run once afterwards, as misfire says.",
                    "default": [],
                },
                "end_date": {
                    "type": ["string", "null"],
                    "format": "date",
                    "description": "The last day with runs, in the time zone. Null for no end.",
                },
            },
            "additionalProperties": False,
        },
    ]
}  # fmt: skip


@extend_schema_field(SCHEDULE_SCHEMA)
class ScheduleField(serializers.Field[Any, Any, Any, Any]):
    """Accepts any value. `plans.parse_plan` validates it."""

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class BlackoutWindow(serializers.Serializer[Any]):
    """Either weekdays with times, or whole days."""

    weekdays = serializers.ListField(
        child=serializers.ChoiceField(WEEKDAYS),
        required=False,
        help_text="The days on which a weekly window begins.",
    )
    start = serializers.CharField(required=False, help_text="Local time, like 22:00.")
    end = serializers.CharField(
        required=False,
        help_text="Local time. If it is not after the start, the window ends on the next day.",
    )
    first_day = serializers.DateField(required=False)
    last_day = serializers.DateField(required=False, help_text="Belongs to the window.")


class ScheduleLabel(serializers.Serializer[Any]):
    cron = serializers.CharField(allow_null=True)
    interval_seconds = serializers.IntegerField(allow_null=True)
    timezone = serializers.CharField()
    overlap = serializers.ChoiceField(Overlap.choices)
    misfire = serializers.ChoiceField(Misfire.choices)
    jitter_seconds = serializers.IntegerField()
    blackouts = BlackoutWindow(many=True)
    end_date = serializers.DateField(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_note = serializers.CharField(allow_blank=True)
