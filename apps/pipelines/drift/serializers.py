"""The request and response schemas of the API for changes at the source."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.pipelines.models import ChangeDecision, ChangeKind
from apps.pipelines.serializers import Person


class DriftQuery(serializers.Serializer[Any]):
    decided = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text="false lists the changes that nobody has accepted or ignored.",
    )
    run = serializers.UUIDField(
        required=False, default=None, help_text="Lists only the changes that this run has found."
    )


class SourceChangeSerializer(serializers.Serializer[Any]):
    """What has changed at the source of a stream since the run before."""

    id = serializers.UUIDField()
    run_id = serializers.UUIDField(help_text="The run that found the change.")
    stream = serializers.CharField()
    kind = serializers.ChoiceField(ChangeKind.choices)
    column = serializers.CharField(help_text="Empty if the stream or its key has changed.")
    before = serializers.CharField(
        help_text="The type of the column or the key before; empty if there was none or it is unknown."
    )
    after = serializers.CharField(help_text="The type of the column or the key now.")
    effect = serializers.ChoiceField(
        ["arrives", "left_out", "fails_runs", "leaves_out_records"],
        allow_null=True,
        help_text="What happens to a column that was added, by the current settings of the stream.",
    )
    decision = serializers.ChoiceField(ChangeDecision.choices, allow_null=True)
    decided_by = Person(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class DriftDecision(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(
        ChangeDecision.choices,
        help_text="accept adds a rule that keeps a new column which the contract leaves out or refuses; ignore changes "
        "nothing; pause pauses the schedule, and the change can still be accepted or ignored.",
    )
