"""The shapes of the overview and the timeline."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.runs.models import Status
from apps.runs.overview.attention import ACTIONS, KINDS, MAX_PER_KIND
from apps.runs.overview.queue import MAX_SHOWN
from apps.runs.overview.summary import MAX_QUEUED
from apps.runs.overview.timeline import MAX_RUNS
from apps.runs.serializers import NamedSerializer, RunRowSerializer


class FreshnessCounts(serializers.Serializer[Any]):
    failing = serializers.IntegerField()
    late = serializers.IntegerField()
    fresh = serializers.IntegerField()
    none = serializers.IntegerField(
        help_text="Pipelines that are disabled, have no active schedule, or have not run yet."
    )


class FixSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(ACTIONS)
    id = serializers.UUIDField(
        allow_null=True, help_text="Id of the run, pipeline, connector, request or conversation."
    )
    name = serializers.CharField(
        allow_blank=True, help_text="The role and the name of a connector."
    )


class AttentionItem(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(KINDS)
    id = serializers.CharField(help_text="Unique within its kind.")
    name = serializers.CharField(help_text="What it is about, such as the name of the pipeline.")
    cause = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    pipeline_id = serializers.UUIDField(allow_null=True)
    run_id = serializers.UUIDField(allow_null=True)
    failure_class = serializers.CharField(allow_null=True)
    retrying = serializers.BooleanField(help_text="Whether a run is waiting or running again.")
    fixes = FixSerializer(
        many=True, help_text="What the caller can do about it, the best one first."
    )


class HourSerializer(serializers.Serializer[Any]):
    """The runs that ended in this hour. Records, bytes and durations are of the succeeded ones."""

    start = serializers.DateTimeField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    records = serializers.IntegerField()
    bytes = serializers.IntegerField()
    average_seconds = serializers.FloatField(allow_null=True)
    longest_seconds = serializers.FloatField(allow_null=True)


class OverviewSerializer(serializers.Serializer[Any]):
    """Counts of the runs that ended in the last 24 hours, and of running and waiting runs."""

    runs = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    success_rate = serializers.FloatField(
        allow_null=True,
        help_text="Share of succeeded runs among succeeded and failed ones; null if there were none.",
    )
    records = serializers.IntegerField()
    running = serializers.IntegerField()
    waiting = serializers.IntegerField()
    waiting_reason = serializers.CharField(allow_null=True)
    freshness = FreshnessCounts()
    attention = AttentionItem(
        many=True, help_text=f"The most urgent first; at most {MAX_PER_KIND} of each kind."
    )
    attention_has_more = serializers.BooleanField()
    queue = RunRowSerializer(
        many=True,
        help_text=f"The first {MAX_QUEUED} waiting runs, each with its reason and its place.",
    )
    hours = HourSerializer(many=True, help_text="The last 24 hours. The last one is not over.")


class QueueSerializer(serializers.Serializer[Any]):
    running = serializers.IntegerField()
    waiting = serializers.IntegerField()
    waiting_since = serializers.DateTimeField(
        allow_null=True,
        help_text="When the oldest run was created that waits and could start now. Null if there is none.",
    )
    max_running = serializers.IntegerField(
        help_text="How many runs of the organization may run at once."
    )
    workers = serializers.IntegerField(help_text="How many workers execute the running runs.")
    has_worker = serializers.BooleanField(
        help_text="Whether a worker is alive. If none is, no run starts."
    )
    running_runs = RunRowSerializer(
        many=True, help_text=f"The first {MAX_SHOWN}, those that run for the longest time first."
    )
    waiting_runs = RunRowSerializer(
        many=True,
        help_text=f"The first {MAX_SHOWN} in the order of the queue, each with its reason and its place.",
    )


class TimelineQuery(serializers.Serializer[Any]):
    status = serializers.ChoiceField(Status.choices, required=False)
    domain = serializers.UUIDField(required=False, help_text="Runs of pipelines of this domain.")
    q = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=120,
        help_text="Runs of pipelines whose names contain this text.",
    )
    since = serializers.DateTimeField(
        required=False, help_text="Runs that ended at this time or later; at most 24 hours ago."
    )
    until = serializers.DateTimeField(required=False, help_text="Runs created before this time.")


class TimelineRunSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    pipeline = serializers.IntegerField(help_text="Position in the list of pipelines, from 0.")
    status = serializers.ChoiceField(Status.choices)
    start = serializers.DateTimeField(help_text="When it was created, if it has not started.")
    end = serializers.DateTimeField(allow_null=True)
    records = serializers.IntegerField()


class TimelineSerializer(serializers.Serializer[Any]):
    pipelines = NamedSerializer(many=True, help_text="The pipelines of the runs, by name.")
    runs = TimelineRunSerializer(
        many=True,
        help_text=f"The live runs, then the newest ended ones; {MAX_RUNS} at most. If there are more, they are those of the most urgent pipelines.",
    )
    has_more = serializers.BooleanField(help_text="Whether runs of other pipelines were left out.")
