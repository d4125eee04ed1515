"""The request and response schemas of dependencies."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.pipelines.dependencies.conditions import DependencyState, UpstreamState
from apps.pipelines.dependencies.services import MAX_UPSTREAMS
from apps.pipelines.models import DependencyMode

MAX_WINDOW = 366 * 86400
MODE_HELP = (
    "`all`: after each of the upstream pipelines has succeeded. `any`: after each success of one."
)
WINDOW_HELP = "A success that is older than this starts nothing; null for no limit."
UPSTREAM_STATES = [(state.value, state.value) for state in UpstreamState]
DEPENDENCY_STATES = [(state.value, state.value) for state in DependencyState]


class DependenciesUpdate(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(
        DependencyMode.choices, default=DependencyMode.ALL, help_text=MODE_HELP
    )
    window_seconds = serializers.IntegerField(
        min_value=60, max_value=MAX_WINDOW, allow_null=True, default=None, help_text=WINDOW_HELP
    )
    upstream_ids = serializers.ListField(
        child=serializers.UUIDField(),
        max_length=MAX_UPSTREAMS,
        help_text="Of the pipelines after which this one runs. Empty to let it run after none.",
    )


class PipelineName(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class LastResult(serializers.Serializer[Any]):
    last_success_at = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="The first failure after the last success."
    )


class UpstreamSerializer(LastResult):
    pipeline = PipelineName()
    state = serializers.ChoiceField(
        UPSTREAM_STATES,
        help_text="`ready`: it has a success that has not started this pipeline yet.",
    )


class DependenciesSerializer(serializers.Serializer[Any]):
    mode = serializers.ChoiceField(DependencyMode.choices, help_text=MODE_HELP)
    window_seconds = serializers.IntegerField(allow_null=True, help_text=WINDOW_HELP)
    state = serializers.ChoiceField(DEPENDENCY_STATES)
    reason = serializers.CharField(help_text="Why it does not run now, as a sentence.")
    upstreams = UpstreamSerializer(many=True)
    downstreams = PipelineName(many=True)
    hidden = serializers.IntegerField(
        help_text="Number of further upstream and downstream pipelines, which you cannot see."
    )


class GraphNodeSerializer(LastResult):
    id = serializers.UUIDField()
    name = serializers.CharField()
    enabled = serializers.BooleanField()
    mode = serializers.ChoiceField(DependencyMode.choices, help_text=MODE_HELP)
    state = serializers.ChoiceField(DEPENDENCY_STATES)
    reason = serializers.CharField()
    is_running = serializers.BooleanField(help_text="Whether it has a run that has not ended.")


class GraphEdgeSerializer(serializers.Serializer[Any]):
    pipeline_id = serializers.UUIDField()
    upstream_id = serializers.UUIDField()


class DependencyGraphSerializer(serializers.Serializer[Any]):
    pipelines = GraphNodeSerializer(many=True)
    edges = GraphEdgeSerializer(many=True)
