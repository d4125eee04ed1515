"""The request and response schemas of the watch for files."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

MAX_MINUTES = 24 * 60
MINUTES_HELP = "Between two looks. A run starts when two looks have found the same files."


class FileWatchUpdate(serializers.Serializer[Any]):
    enabled = serializers.BooleanField()
    minutes = serializers.IntegerField(
        min_value=1, max_value=MAX_MINUTES, default=5, help_text=MINUTES_HELP
    )
    present_files_are_new = serializers.BooleanField(
        default=False, help_text="Whether the files that are there now start a run, too."
    )


class FileWatchSerializer(serializers.Serializer[Any]):
    possible = serializers.BooleanField(help_text="Whether the source of the pipeline has files.")
    enabled = serializers.BooleanField()
    minutes = serializers.IntegerField(help_text=MINUTES_HELP)
    next_look_at = serializers.DateTimeField(allow_null=True)
    looked_at = serializers.DateTimeField(allow_null=True, help_text="The last look.")
    files = serializers.IntegerField(
        allow_null=True, help_text="How many files the last look without a problem has found."
    )
    problem = serializers.CharField(help_text="Why the last look has failed, or empty.")
    waiting = serializers.BooleanField(help_text="Whether files have not started a run yet.")
    reason = serializers.CharField(help_text="Why they have not, as a sentence.")
