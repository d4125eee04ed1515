"""The request and response schemas of freshness pages."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.alerts.freshness_pages.contents import INCIDENT_KINDS
from apps.alerts.freshness_pages.services import MAX_PIPELINES
from apps.orgs.http.texts import NameField
from apps.pipelines.schedules.freshness import FRESHNESS

ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f66"
PIPELINE_ID = "0197d2a0-5a4e-7c60-9a41-0d9b6a9f2f67"
URL = "https://drover.example.com/api/v1/public/freshness/m5Yq"
MAX_INCIDENT_DAYS = 90
PUBLIC_INCIDENTS = tuple(dict.fromkeys(INCIDENT_KINDS.values()))

EXAMPLE_CONTENTS: dict[str, Any] = {
    "title": "Data of the shop",
    "freshness": "late",
    "pipelines": [
        {"id": ID, "name": "Orders", "freshness": "late", "updated_at": "2026-11-30T06:04:12Z"}
    ],
    "incidents": [
        {
            "pipeline_id": ID,
            "pipeline_name": "Orders",
            "kind": "late",
            "opened_at": "2026-11-30T08:00:00Z",
            "closed_at": None,
        }
    ],
    "incident_days": 30,
}
EXAMPLE: dict[str, Any] = {
    "id": ID,
    "title": "Data of the shop",
    "enabled": True,
    "incident_days": 30,
    "url": URL,
    "badge_url": f"{URL}/badge.svg",
    "pipelines": [
        {
            "id": ID,
            "pipeline_id": PIPELINE_ID,
            "pipeline_name": "orders_to_warehouse",
            "name": "Orders",
            "badge_url": f"{URL}/{ID}/badge.svg",
        }
    ],
    "created_at": "2026-11-22T08:00:00Z",
    "updated_at": "2026-11-22T08:00:00Z",
}
EXAMPLE_REQUEST: dict[str, Any] = {
    "title": "Data of the shop",
    "enabled": True,
    "pipelines": [{"pipeline_id": PIPELINE_ID, "name": "Orders"}],
}


class FreshnessPagePipelineChoice(serializers.Serializer[Any]):
    pipeline_id = serializers.UUIDField()
    name = NameField(
        max_length=120,
        allow_blank=True,
        default="",
        help_text="The public name. If it is empty, the pipeline's own name is shown.",
    )


class FreshnessPageUpdate(serializers.Serializer[Any]):
    title = NameField(max_length=120, required=False)
    enabled = serializers.BooleanField(required=False, help_text="Whether the page is public.")
    incident_days = serializers.IntegerField(
        min_value=0,
        max_value=MAX_INCIDENT_DAYS,
        required=False,
        help_text="For how many days an incident is shown after it is over. Open ones are always shown.",
    )
    pipelines = FreshnessPagePipelineChoice(  # type: ignore[call-arg]  # the stubs lack max_length
        many=True,
        max_length=MAX_PIPELINES,
        required=False,
        help_text="The pipelines to show, in this order.",
    )


class FreshnessPageCreate(FreshnessPageUpdate):
    title = NameField(max_length=120)


class FreshnessPagePipelineRow(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The id in the address of the badge.")
    pipeline_id = serializers.UUIDField()
    pipeline_name = serializers.CharField()
    name = serializers.CharField(help_text="The public name, or empty for the pipeline's own.")
    badge_url = serializers.CharField()


class FreshnessPageRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    title = serializers.CharField()
    enabled = serializers.BooleanField(help_text="Whether the page is public.")
    incident_days = serializers.IntegerField()
    url = serializers.CharField(help_text="The link. Whoever has it can read the page.")
    badge_url = serializers.CharField()
    pipelines = FreshnessPagePipelineRow(many=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PublicPipeline(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="The id in the address of the badge.")
    name = serializers.CharField()
    freshness = serializers.ChoiceField(choices=FRESHNESS)
    updated_at = serializers.DateTimeField(
        allow_null=True, help_text="The end of the last run that has succeeded."
    )


class PublicIncident(serializers.Serializer[Any]):
    pipeline_id = serializers.UUIDField()
    pipeline_name = serializers.CharField()
    kind = serializers.ChoiceField(choices=PUBLIC_INCIDENTS)
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class PublicContents(serializers.Serializer[Any]):
    title = serializers.CharField()
    freshness = serializers.ChoiceField(
        choices=FRESHNESS, help_text="The most urgent one of the pipelines."
    )
    pipelines = PublicPipeline(many=True)
    incidents = PublicIncident(many=True, help_text="Open ones first. At most 50.")
    incident_days = serializers.IntegerField()
