from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.pipelines.serializers import TagsField
from apps.runs.bulk.services import ACTIONS
from apps.runs.models import Status

MAX_IDS = 1000
MAX_RECENT = 100  # pipelines whose newest runs are read at once
TAG_ACTIONS = ("tag", "untag")


class BulkRequest(serializers.Serializer[Any]):
    ids = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MAX_IDS, help_text="Of pipelines."
    )
    action = serializers.ChoiceField(
        list(ACTIONS), help_text="`retry` retries the last run if it has failed or was cancelled."
    )
    tags = TagsField(required=False)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        has_tags = bool(data.get("tags"))
        if has_tags != (data["action"] in TAG_ACTIONS):
            message = "Only needed to tag or untag." if has_tags else "At least one tag is needed."
            raise serializers.ValidationError({"tags": message})
        return data


class BulkProblem(serializers.Serializer[Any]):
    status = serializers.IntegerField(help_text="The status of the same action on this pipeline.")
    code = serializers.CharField()
    detail = serializers.CharField()


class BulkResult(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    ok = serializers.BooleanField()
    problem = BulkProblem(allow_null=True)


class BulkAnswer(serializers.Serializer[Any]):
    results = BulkResult(many=True, help_text="In the order of the request.")
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()


class RecentRunsQuery(serializers.Serializer[Any]):
    pipelines = serializers.CharField(
        max_length=37 * MAX_RECENT,
        help_text=f"Ids of up to {MAX_RECENT} pipelines, separated by commas.",
    )

    def validate_pipelines(self, value: str) -> list[Any]:
        ids = serializers.ListField(child=serializers.UUIDField(), max_length=MAX_RECENT)
        try:
            found: list[Any] = ids.run_validation(value.split(","))
        except serializers.ValidationError:
            message = f"Up to {MAX_RECENT} ids, separated by commas."
            raise serializers.ValidationError(message) from None
        return found


class RecentRunSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(Status.choices)
    created_at = serializers.DateTimeField()
    duration_seconds = serializers.FloatField(allow_null=True)
    records = serializers.IntegerField()


class RunsOfPipelineSerializer(serializers.Serializer[Any]):
    pipeline_id = serializers.UUIDField()
    runs = RecentRunSerializer(many=True, help_text="Newest first.")


class RecentRunsAnswer(serializers.Serializer[Any]):
    results = RunsOfPipelineSerializer(many=True)
