"""The shapes of requests and answers about schedules."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.orgs.http.texts import NameField
from apps.pipelines.schedules.schema import ScheduleField


class PauseRequest(serializers.Serializer[Any]):
    note = NameField(max_length=200, allow_blank=True, default="")


class TimesQuery(serializers.Serializer[Any]):
    count = serializers.IntegerField(default=10, min_value=1, max_value=100)


class TimesRequest(TimesQuery):
    schedule = ScheduleField()


class WordsRequest(TimesQuery):
    words = serializers.CharField(
        max_length=200,
        help_text="English, such as weekdays at 7:30 in Berlin, a cron expression, or by hand.",
    )
    timezone = serializers.CharField(
        max_length=60, required=False, help_text="IANA name, for words that name no place."
    )


class WordsAnswer(serializers.Serializer[Any]):
    schedule = ScheduleField(help_text="Null for by hand.")
    in_words = serializers.CharField()
    times = serializers.ListField(child=serializers.DateTimeField())


class ClockChangeSerializer(serializers.Serializer[Any]):
    """Times of the schedule that a change of the clocks skips or repeats."""

    kind = serializers.ChoiceField(["skipped", "repeated"])
    local_times = serializers.ListField(
        child=serializers.CharField(), help_text="In the time zone of the schedule, without offset."
    )
    runs_at = serializers.DateTimeField(help_text="When the pipeline runs instead, or first.")
    in_words = serializers.CharField()


class TimesAnswer(serializers.Serializer[Any]):
    times = serializers.ListField(child=serializers.DateTimeField())
    timezone = serializers.CharField()
    after_blackout = serializers.ListField(
        child=serializers.DateTimeField(), help_text="Those of the times at which a blackout ends."
    )
    clock_changes = ClockChangeSerializer(
        many=True, help_text="Those of the next year that affect the schedule."
    )
