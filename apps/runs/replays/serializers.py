"""The request and response schemas of the API for sending rejected records again."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

MAX_STREAMS = 1_000


class ReplaySerializer(serializers.Serializer[Any]):
    streams = serializers.ListField(
        child=serializers.CharField(max_length=200, trim_whitespace=False),
        required=False,
        allow_null=True,
        min_length=1,
        max_length=MAX_STREAMS,
        help_text="The streams whose rejected records are sent again; by default all streams that allow it.",
    )

    def validate_streams(self, names: list[str] | None) -> list[str] | None:
        if names is not None and len(set(names)) < len(names):
            raise serializers.ValidationError("Name each stream once.")
        return names


class ReplayableStreamSerializer(serializers.Serializer[Any]):
    stream = serializers.CharField()
    rejected = serializers.IntegerField(help_text="The rejected records of the stream.")
    sendable = serializers.IntegerField(
        help_text="How many of them are kept whole, so that they can be sent again."
    )
    refusal = serializers.CharField(
        help_text="Why they cannot be sent again now; empty if they can."
    )
    replay_id = serializers.UUIDField(
        allow_null=True, help_text="The run that has sent them again."
    )


class ReplayableStreamListSerializer(serializers.Serializer[Any]):
    results = ReplayableStreamSerializer(many=True)
