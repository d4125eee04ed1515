"""The request and response schemas of the API for backfills."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.pipelines.serializers import Person
from apps.runs.models import BackfillMode, Status

MAX_STREAMS = 20


class WindowSerializer(serializers.Serializer[Any]):
    """The window of a backfill. `from` and `to` are values of the cursor field."""

    streams = serializers.ListField(
        child=serializers.CharField(max_length=200, trim_whitespace=False),
        min_length=1,
        max_length=MAX_STREAMS,
        help_text="The streams to read again. Each has its own backfill.",
    )
    to = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=200,
        help_text="The window ends before this value; by default before the saved position of the stream.",
    )
    rows_per_chunk = serializers.IntegerField(
        default=1_000_000,
        min_value=1_000,
        max_value=100_000_000,
        help_text="About how many rows a run loads, before runs of the pipeline that are due are started.",
    )

    def get_fields(self) -> dict[str, Any]:
        """Add `from`, which is a keyword of Python."""
        first = serializers.CharField(
            required=False,
            allow_null=True,
            max_length=200,
            help_text="The window begins with this value; by default with the first value of the stream.",
        )
        return {**super().get_fields(), "from": first}

    def validate_streams(self, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise serializers.ValidationError("Name each stream once.")
        return names


class _ShownWindow(serializers.Serializer[Any]):
    """A window as it is shown."""

    stream = serializers.CharField()
    window_mode = serializers.ChoiceField(
        BackfillMode.choices,
        help_text="`merge`: rows are inserted or updated by their key. `replace`: the rows of the window are replaced.",
    )
    to = serializers.CharField(
        allow_null=True,
        help_text="The window ends before this value of the cursor field; null for the whole stream.",
    )

    def get_fields(self) -> dict[str, Any]:
        first = serializers.CharField(
            allow_null=True, help_text="The first value; null for the beginning of the stream."
        )
        return {**super().get_fields(), "from": first}


class EstimatedWindowSerializer(_ShownWindow):
    rows = serializers.IntegerField(allow_null=True, help_text="Null if their number is unknown.")
    rows_counted = serializers.BooleanField(
        help_text="Whether the rows were counted; else the source has estimated them."
    )
    chunks = serializers.IntegerField(help_text="The number of runs.")


class EstimateSerializer(serializers.Serializer[Any]):
    results = EstimatedWindowSerializer(many=True)


class BackfillSerializer(_ShownWindow):
    id = serializers.UUIDField()
    cursor_field = serializers.CharField()
    status = serializers.ChoiceField(
        [Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED]
    )
    chunks = serializers.IntegerField(help_text="The number of runs that load the window.")
    chunks_done = serializers.IntegerField()
    rows_expected = serializers.IntegerField(
        allow_null=True, help_text="Null if their number is unknown."
    )
    rows_counted = serializers.BooleanField(
        help_text="Whether the expected rows were counted; else the source has estimated them."
    )
    rows_read = serializers.IntegerField()
    rows_written = serializers.IntegerField()
    run_id = serializers.UUIDField(allow_null=True, help_text="The newest run of the backfill.")
    failure_message = serializers.CharField(help_text="Why it has failed; empty if it has not.")
    created_by = Person(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class PossibilitySerializer(serializers.Serializer[Any]):
    """Whether a stream can be backfilled."""

    stream = serializers.CharField()
    cursor_field = serializers.CharField(allow_null=True)
    window_mode = serializers.ChoiceField(BackfillMode.choices, allow_null=True)
    refusal = serializers.CharField(help_text="Why it cannot be backfilled; empty if it can.")
    reads_whole = serializers.BooleanField(
        help_text="Whether the whole stream is read again, because its source cannot read a window."
    )
    latest_end = serializers.CharField(
        allow_null=True,
        help_text="The saved position, at which a window ends at the latest.",
    )


class CreatedBackfillsSerializer(serializers.Serializer[Any]):
    results = BackfillSerializer(many=True)


class BackfillListSerializer(CreatedBackfillsSerializer):
    streams = PossibilitySerializer(many=True)
