"""The response schema of the comparison of two runs."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.pipelines.serializers import FieldChange
from apps.runs.comparing.services import MAX_STREAMS
from apps.runs.outputs.log_search import LEVELS
from apps.runs.serializers import RunRowSerializer, RunStreamSerializer


class ComparedStreamSerializer(serializers.Serializer[Any]):
    stream = serializers.CharField()
    run = RunStreamSerializer(allow_null=True, help_text="null: the run did not have the stream.")
    other = RunStreamSerializer(allow_null=True)


class OwnMessageSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="Number of the first line with the message, from 0.")
    level = serializers.ChoiceField(LEVELS)
    message = serializers.CharField()


class ComparisonSerializer(serializers.Serializer[Any]):
    """A run and another run of the same pipeline."""

    run = RunRowSerializer()
    other = RunRowSerializer()
    changes = FieldChange(
        many=True,
        help_text="How the settings changed from the version of the other run to the version of the run.",
    )
    streams = ComparedStreamSerializer(many=True)
    streams_total = serializers.IntegerField(
        help_text=f"The number of streams of both runs. `streams` has at most {MAX_STREAMS} of them."
    )
    only_in_run = OwnMessageSerializer(
        many=True,
        help_text="The first messages at the start of the log that the other log does not have there, without regard to "
        "times, ids and numbers.",
    )
    only_in_other = OwnMessageSerializer(many=True)
