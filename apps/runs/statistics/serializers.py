"""The parameters and the response schema of the statistics of a pipeline."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.pipelines.schedules import times
from apps.pipelines.schedules.freshness import FRESHNESS
from apps.runs.models import Status, Trigger
from apps.runs.statistics.services import MAX_RUNS


class StatisticsQuery(serializers.Serializer[Any]):
    timezone = serializers.CharField(
        default="UTC", max_length=64, help_text="IANA time zone in which days begin at midnight."
    )
    runs = serializers.IntegerField(default=50, min_value=1, max_value=MAX_RUNS)

    def validate_timezone(self, name: str) -> str:
        if name not in times.time_zone_names():
            raise serializers.ValidationError("This is not a time zone, such as Europe/Paris.")
        return name


class ChartedRunSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Status.choices)
    trigger = serializers.ChoiceField(Trigger.choices)
    version = serializers.IntegerField(help_text="Version of the pipeline's definition.")
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    records = serializers.IntegerField(help_text="Written records.")
    rejected = serializers.IntegerField()
    failure_class = serializers.CharField(
        allow_null=True, help_text="The class of its failure, such as authentication."
    )


class DaySerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    records = serializers.IntegerField(help_text="Records written by the runs of this day.")


class NewVersionSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    author = serializers.CharField(allow_null=True)


class FailureStartSerializer(serializers.Serializer[Any]):
    last_success_at = serializers.DateTimeField(
        help_text="When the last successful run was created."
    )
    first_failure_id = serializers.UUIDField(help_text="The first run that failed after it.")
    first_failure_at = serializers.DateTimeField()
    failures = serializers.IntegerField(help_text="The runs that have failed since then.")
    versions = NewVersionSerializer(
        many=True, help_text="The newest versions saved between the two, newest first."
    )


class FreshnessPointSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField(help_text="The end of a run; of the last point, now.")
    freshness = serializers.ChoiceField(
        FRESHNESS,
        help_text="Just before the run ended; failing if it failed. See docs/reference/freshness.md.",
    )
    age_seconds = serializers.FloatField(
        allow_null=True, help_text="The time since the success before; null if there was none."
    )
    late_after_seconds = serializers.FloatField(
        allow_null=True, help_text="The age from which on the data is late."
    )


class FreshnessOverTimeSerializer(serializers.Serializer[Any]):
    points = FreshnessPointSerializer(many=True, help_text="Oldest first.")
    fresh_share = serializers.FloatField(
        allow_null=True, help_text="The share of the time since the first point that was fresh."
    )


class StatisticsSerializer(serializers.Serializer[Any]):
    """Chunks of backfills and replays are left out."""

    runs = ChartedRunSerializer(many=True, help_text="The newest runs, oldest first.")
    days = DaySerializer(many=True, help_text="The days with ended runs, by their creation.")
    since = serializers.DateField(help_text="The first day, a Monday. It is 26 weeks ago.")
    failing = FailureStartSerializer(
        allow_null=True, help_text="null if the last run succeeded, or none has ever succeeded."
    )
    freshness = FreshnessOverTimeSerializer(
        allow_null=True,
        help_text="At the end of these runs, as if the schedule of today had always been there; null without an active one.",
    )
