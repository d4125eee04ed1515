"""Shapes of what the API takes and answers about runs. Answers are rendered from rows; these describe them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.connectors.custom_sources.serializers import NetworkPlace
from apps.engine.failures import FailureClass
from apps.runs.models import Status, Trigger


class StartSerializer(serializers.Serializer[Any]):
    force = serializers.BooleanField(
        default=False, help_text="Run it although the pipeline is disabled."
    )


class NothingSerializer(serializers.Serializer[Any]):
    """An empty object."""


class RunListQuery(serializers.Serializer[Any]):
    pipeline = serializers.UUIDField(required=False, help_text="Runs of this pipeline.")
    domain = serializers.UUIDField(required=False, help_text="Runs of pipelines of this domain.")
    status = serializers.ChoiceField(Status.choices, required=False)
    trigger = serializers.ChoiceField(Trigger.choices, required=False)
    since = serializers.DateTimeField(required=False, help_text="Made at this time or later.")
    until = serializers.DateTimeField(required=False, help_text="Made before this time.")


class LogQuery(serializers.Serializer[Any]):
    offset = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=2**62,
        help_text="Number of the first line wanted, from 0.",
    )
    limit = serializers.IntegerField(default=1000, min_value=1, max_value=5000)
    level = serializers.ChoiceField(
        ["debug", "info", "warning", "error"],
        required=False,
        help_text="Only lines of this level or a graver one.",
    )


class DownloadQuery(serializers.Serializer[Any]):
    redirect = serializers.BooleanField(
        default=True, help_text="false: pass the file through Drover, whatever the storage."
    )


class NamedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ProgressSerializer(serializers.Serializer[Any]):
    """Counts over the whole sync, earlier attempts included."""

    read = serializers.IntegerField(help_text="written + rejected")
    written = serializers.IntegerField()
    rejected = serializers.IntegerField()
    bytes = serializers.IntegerField()
    iterations = serializers.IntegerField(help_text="Pages read.")
    total = serializers.IntegerField(allow_null=True, help_text="What the source says it holds.")
    rate = serializers.FloatField(allow_null=True, help_text="Records per second, lately.")
    eta_seconds = serializers.FloatField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)


class FailureSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())
    retryable = serializers.BooleanField(
        allow_null=True,
        help_text="Whether trying again unchanged can help; null for attempts of a release that did not keep it.",
    )
    next_step = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """`class` is a keyword of the language, so it cannot be an attribute."""
        words = [(word.value, word.value) for word in FailureClass]
        return {"class": serializers.ChoiceField(words), **super().get_fields()}


class AttemptSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    status = serializers.CharField(help_text="running, succeeded, failed, cancelled or released")
    worker = serializers.CharField()
    started_at = serializers.DateTimeField()
    launched_at = serializers.DateTimeField(
        allow_null=True, help_text="When its child process reported in."
    )
    finished_at = serializers.DateTimeField(allow_null=True)
    records_read = serializers.IntegerField(
        help_text="By the run when this attempt ended, earlier attempts included."
    )
    records_written = serializers.IntegerField(help_text="Likewise.")
    failure = FailureSerializer(allow_null=True)
    network = NetworkPlace(many=True, help_text="The hosts it reached for, and was refused.")


class RunRowSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    pipeline = NamedSerializer()
    domain_id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(help_text="Of the pipeline's definition.")
    status = serializers.ChoiceField(Status.choices)
    trigger = serializers.ChoiceField(Trigger.choices)
    triggered_by = serializers.EmailField(allow_null=True)
    schedule_id = serializers.UUIDField(allow_null=True)
    slot = serializers.DateTimeField(
        allow_null=True, help_text="The schedule's time this run stands for."
    )
    attempt = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    waiting_reason = serializers.CharField(allow_null=True)
    place_in_line = serializers.IntegerField(
        allow_null=True, help_text="Among the organization's waiting runs, from 1."
    )
    not_before = serializers.DateTimeField(allow_null=True)
    cancel_requested = serializers.BooleanField()
    timeout_seconds = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    progress = ProgressSerializer()
    failure = FailureSerializer(allow_null=True)
    event_sequence = serializers.IntegerField(
        help_text="Number of its newest event: pass as Last-Event-ID to hear only what follows."
    )
    log_lines = serializers.IntegerField()


class RunSerializer(RunRowSerializer):
    attempts = AttemptSerializer(many=True)


class LogLineSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="Its number, from 0.")
    at = serializers.DateTimeField()
    level = serializers.ChoiceField(["debug", "info", "warning", "error"])
    message = serializers.CharField()
    fields_ = serializers.DictField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """`fields` is taken by the serializer itself."""
        found = super().get_fields()
        return {**{k: v for k, v in found.items() if k != "fields_"}, "fields": found["fields_"]}


class LogPageSerializer(serializers.Serializer[Any]):
    offset = serializers.IntegerField()
    lines = LogLineSerializer(many=True)
    next_offset = serializers.IntegerField(
        allow_null=True, help_text="Where to read on; null when there is nothing more yet."
    )
    total = serializers.IntegerField(help_text="Lines written so far.")
    complete = serializers.BooleanField(help_text="The run has ended: no line will follow.")
    removed = serializers.IntegerField(help_text="Lines before this number were removed for age.")
    note = serializers.CharField(help_text="Says so in words; empty when nothing was removed.")


class OutputSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    bytes = serializers.IntegerField()
    rows = serializers.IntegerField()
    media_type = serializers.CharField()
    created_at = serializers.DateTimeField()


class OutputListSerializer(serializers.Serializer[Any]):
    results = OutputSerializer(many=True)


class OverviewSerializer(serializers.Serializer[Any]):
    """Today is the last 24 hours."""

    runs = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    success_rate = serializers.FloatField(
        allow_null=True, help_text="Succeeded of succeeded and failed; null when there was none."
    )
    records = serializers.IntegerField()
    running = serializers.IntegerField()
    waiting = serializers.IntegerField()
    waiting_reason = serializers.CharField(allow_null=True)


class StreamStateSerializer(serializers.Serializer[Any]):
    """Where the engine is in the pipeline's stream."""

    stream = serializers.CharField()
    sync_mode = serializers.CharField()
    status = serializers.CharField()
    state = serializers.JSONField(help_text="What an incremental sync continues from.")
    batches = serializers.IntegerField()
    written = serializers.IntegerField()
    rejected = serializers.IntegerField()
    updated_at = serializers.DateTimeField()


class PipelineStateSerializer(serializers.Serializer[Any]):
    streams = StreamStateSerializer(many=True)


class PutStreamStateSerializer(serializers.Serializer[Any]):
    state = serializers.DictField(help_text="What the next incremental sync continues from.")


class MeasureSerializer(serializers.Serializer[Any]):
    name = serializers.ChoiceField(
        choices=["rows_month", "bytes_month", "running", "pipelines", "members"]
    )
    used = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True, help_text="Null: no limit.")
    state = serializers.ChoiceField(
        choices=["ok", "warning", "reached"], help_text="`warning` from 80 % on."
    )


class MonthSerializer(serializers.Serializer[Any]):
    month = serializers.DateField(help_text="Its first day, UTC.")
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    runs = serializers.IntegerField()


class KeptSerializer(serializers.Serializer[Any]):
    name = serializers.ChoiceField(["logs", "outputs", "events", "runs", "audit"])
    days = serializers.IntegerField(allow_null=True, help_text="How long; null: for ever.")
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField(allow_null=True, help_text="Null: not measured.")


class UsageSerializer(serializers.Serializer[Any]):
    limits = MeasureSerializer(many=True)
    months = MonthSerializer(many=True)
    kept = KeptSerializer(many=True)
