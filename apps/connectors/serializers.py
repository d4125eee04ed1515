"""The request and response schemas of /catalog and /connectors."""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import UUID

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from apps.connectors.models import ConnectorRole
from apps.connectors.services import ConnectorChanges
from apps.engine.frames.left_out import KINDS
from apps.json import JsonObject
from apps.orgs.http.texts import MultilineTextField, NameField

MAX_DEPTH = 20  # levels of nested settings
MAX_NAME_LENGTH = 120  # characters


@extend_schema_field({"type": "object", "additionalProperties": True})
class SettingsField(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """Settings as a JSON object; the service validates their contents against the catalogue."""

    default_error_messages = {
        "object": "Must be an object.",
        "deep": f"Nested deeper than {MAX_DEPTH} levels.",
    }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("object")
        level: list[Any] = [data]
        for _ in range(MAX_DEPTH):
            level = [inner for node in level for inner in _nested_containers(node)]
        if level:
            self.fail("deep")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _nested_containers(node: Any) -> list[Any]:
    values = node.values() if isinstance(node, dict) else node
    return [value for value in values if isinstance(value, dict | list)]


class CatalogueStream(serializers.Serializer[Any]):
    name = serializers.CharField()
    sync_modes = serializers.ListField(child=serializers.CharField())


class CatalogueKind(serializers.Serializer[Any]):
    kind = serializers.CharField()
    role = serializers.ChoiceField(ConnectorRole.choices)
    name = serializers.CharField()
    description = serializers.CharField()
    icon = serializers.CharField()
    docs_url = serializers.CharField(allow_blank=True)
    config_schema = serializers.JSONField(
        help_text="JSON Schema of the settings; secret fields are writeOnly."
    )
    secret_paths = serializers.ListField(
        child=serializers.CharField(),
        help_text="Paths of the settings that are secret. `*` stands for any name or index. Values of maps that are secret"
        " only if their names match a pattern are marked in `config_schema` alone, as `patternProperties`.",
    )
    streams = CatalogueStream(
        many=True,
        help_text="Streams that every source of this kind has. Empty if they depend on the settings.",
    )
    sync_modes = serializers.ListField(child=serializers.CharField())
    write_modes = serializers.ListField(child=serializers.CharField())
    supports_incremental = serializers.BooleanField()
    needs_cursor = serializers.BooleanField(
        help_text="Whether an incremental sync must name its cursor field."
    )
    shares_snapshots = serializers.BooleanField(
        help_text="Whether the streams of a run can be read in one snapshot."
    )


class CatalogueList(serializers.Serializer[Any]):
    results = CatalogueKind(many=True)
    count = serializers.IntegerField()


class DomainLabel(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ConnectorRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.ChoiceField(ConnectorRole.choices)
    kind = serializers.CharField()
    description = serializers.CharField()
    domain = DomainLabel(allow_null=True)
    check_ok = serializers.BooleanField(
        allow_null=True, help_text="Whether the last check succeeded; null if there was none."
    )
    checked_at = serializers.DateTimeField(allow_null=True)
    worked_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When a pipeline with these settings last succeeded; null if none has since they were changed.",
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    pipeline_count = serializers.IntegerField(
        help_text="How many pipelines use it. GET /pipelines?connector={id} lists them."
    )


class ConnectorDetail(ConnectorRow):
    config = SettingsField(help_text='Each secret is shown as {"set": true, "last4": "…"}.')
    version = serializers.IntegerField()


class NewConnector(TypedDict):
    name: str
    role: str
    kind: str
    config: JsonObject
    description: str
    domain_id: UUID | None


class ConnectorCreate(serializers.Serializer[NewConnector]):
    name = NameField(max_length=MAX_NAME_LENGTH)
    role = serializers.ChoiceField(ConnectorRole.choices)
    kind = serializers.CharField(max_length=60)
    config = SettingsField()
    description = MultilineTextField(
        max_length=1000, allow_blank=True, default="", trim_whitespace=False
    )
    domain_id = serializers.UUIDField(allow_null=True, default=None)


class ConnectorUpdate(serializers.Serializer[ConnectorChanges]):
    name = NameField(max_length=MAX_NAME_LENGTH, required=False)
    config = SettingsField(
        required=False,
        help_text="Merged into the current settings (RFC 7396); null removes a field.",
    )
    description = MultilineTextField(
        max_length=1000, allow_blank=True, required=False, trim_whitespace=False
    )
    domain_id = serializers.UUIDField(allow_null=True, required=False)


class ConnectorReplace(serializers.Serializer[ConnectorChanges]):
    name = NameField(max_length=MAX_NAME_LENGTH)
    config = SettingsField(help_text="All settings; secrets that are left out are kept.")
    description = MultilineTextField(
        max_length=1000, allow_blank=True, default="", trim_whitespace=False
    )
    domain_id = serializers.UUIDField(allow_null=True, default=None)


class ConnectorFilter(serializers.Serializer[Any]):
    role = serializers.ChoiceField(ConnectorRole.choices, required=False)
    kind = serializers.CharField(max_length=60, required=False)
    domain = serializers.UUIDField(required=False)
    q = serializers.CharField(max_length=120, required=False, allow_blank=True)


class UnsavedSettings(TypedDict):
    role: str
    kind: str
    config: JsonObject


class CheckRequest(serializers.Serializer[UnsavedSettings]):
    role = serializers.ChoiceField(ConnectorRole.choices)
    kind = serializers.CharField(max_length=60)
    config = SettingsField()


class ChangedSettings(serializers.Serializer[Any]):
    config = SettingsField(
        required=False,
        help_text="Changes that are not saved: they are merged into the saved settings (RFC 7396), for this test only.",
    )


class CheckStep(serializers.Serializer[Any]):
    step = serializers.CharField()
    ok = serializers.BooleanField()
    message = serializers.CharField()
    ms = serializers.FloatField(help_text="Duration in milliseconds.")
    next_step = serializers.CharField(
        allow_null=True, help_text="What to do about a failed step; null for the others."
    )


class CheckAnswer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    steps = CheckStep(many=True)


class Empty(serializers.Serializer[Any]):
    """No body."""


class ConnectionFailure(serializers.Serializer[Any]):
    failure_class = serializers.CharField()
    message = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())


class StreamField(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    nullable = serializers.BooleanField()


# This is not a class, because a serializer cannot have an attribute `fields`.
Stream = inline_serializer(
    "Stream",
    {
        "name": serializers.CharField(),
        "fields": StreamField(many=True),
        "primary_key": serializers.ListField(child=serializers.CharField()),
        "cursor_fields": serializers.ListField(child=serializers.CharField()),
        "sync_modes": serializers.ListField(child=serializers.CharField()),
    },
    many=True,
)


class StreamsQuery(serializers.Serializer[Any]):
    refresh = serializers.BooleanField(
        default=False, help_text="Ask the source again instead of answering from the stored list."
    )


class StreamsAnswer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    streams = Stream
    found_at = serializers.DateTimeField(
        allow_null=True, help_text="When the source listed its streams. Lists are stored for a day."
    )
    failure = ConnectionFailure(allow_null=True)


class LeftOutReason(serializers.Serializer[Any]):
    """Why records of a preview are left out, and how many of those that were kept for the preview."""

    kind = serializers.ChoiceField(KINDS)
    reason = serializers.CharField(
        help_text="If it names a value, the value of the first of the records."
    )
    count = serializers.IntegerField()
