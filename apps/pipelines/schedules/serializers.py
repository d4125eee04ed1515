"""The shapes of requests and answers about schedules."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.orgs.http.texts import NameField
from apps.pipelines.serializers import ScheduleField


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


class TimesAnswer(serializers.Serializer[Any]):
    times = serializers.ListField(child=serializers.DateTimeField())
    timezone = serializers.CharField()
