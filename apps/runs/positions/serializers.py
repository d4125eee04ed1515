"""The request and response schemas of the API for the positions of streams."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.pipelines.serializers import Person


class FoundColumnSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField(
        allow_blank=True, help_text="Its type in the source; empty if it is not known."
    )


class StreamStateSerializer(serializers.Serializer[Any]):
    """The engine's position in a stream of the pipeline."""

    stream = serializers.CharField()
    sync_mode = serializers.CharField()
    status = serializers.CharField()
    state = serializers.JSONField(
        help_text="The position from which an incremental sync continues."
    )
    batches = serializers.IntegerField()
    written = serializers.IntegerField()
    rejected = serializers.IntegerField()
    skipped = serializers.IntegerField()
    updated_at = serializers.DateTimeField()
    columns = FoundColumnSerializer(
        many=True,
        allow_null=True,
        help_text="The columns that the last run has found in the source; null if they are not known.",
    )


class PipelineStateSerializer(serializers.Serializer[Any]):
    streams = StreamStateSerializer(many=True)


class ResetStateSerializer(serializers.Serializer[Any]):
    stream = serializers.CharField(
        required=False,
        max_length=200,
        trim_whitespace=False,
        help_text="The stream to read again; all streams by default.",
    )


class PutStreamStateSerializer(serializers.Serializer[Any]):
    stream = serializers.CharField(
        required=False,
        max_length=200,
        trim_whitespace=False,
        help_text="Required if the pipeline has several streams.",
    )
    state = serializers.DictField(
        help_text="The position from which the next incremental sync continues: at most 256 KiB as JSON, unless the saved"
        " position is longer."
    )


class HistoryQuery(serializers.Serializer[Any]):
    stream = serializers.CharField(
        required=False,
        max_length=200,
        trim_whitespace=False,
        help_text="Only changes of this stream.",
    )
    offset = serializers.IntegerField(default=0, min_value=0, max_value=100_000)


class PositionChangeSerializer(serializers.Serializer[Any]):
    """A change of the saved position of a stream."""

    id = serializers.UUIDField()
    stream = serializers.CharField()
    at = serializers.DateTimeField()
    cause = serializers.ChoiceField(
        ["run", "edit", "reset", "restore"],
        help_text="A run published, or a person edited, reset or restored the position.",
    )
    run_id = serializers.UUIDField(allow_null=True)
    changed_by = Person(allow_null=True)
    before = serializers.JSONField(help_text="The position before; null if there was none.")
    after = serializers.JSONField(help_text="The position after; null after a reset.")
    complete = serializers.BooleanField(
        help_text="false if a position is too long for this list and null here. It can be restored all the same."
    )


class PositionHistorySerializer(serializers.Serializer[Any]):
    results = PositionChangeSerializer(many=True)
    count = serializers.IntegerField(help_text="All changes that are kept.")
    next_offset = serializers.IntegerField(allow_null=True)


class RestorePositionSerializer(serializers.Serializer[Any]):
    change = serializers.UUIDField(help_text="A change of the history.")
    side = serializers.ChoiceField(
        ["before", "after"],
        default="after",
        help_text="The position before or after this change.",
    )
