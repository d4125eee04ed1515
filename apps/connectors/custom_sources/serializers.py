"""The request and response schemas of /custom-sources."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.connectors.models import Origin
from apps.connectors.serializers import MAX_NAME_LENGTH, LeftOutReason, SettingsField
from apps.orgs.http.texts import MultilineTextField, NameField

MAX_CODE_LENGTH = 512 * 1024  # characters, the same limit as in the engine's validation
MAX_COMPARED_LINES = 3000  # lines of a version
MAX_PREVIEW_RECORDS = 100


class CodeField(serializers.CharField):
    """Python text, stored exactly as it was sent."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, max_length=MAX_CODE_LENGTH, **options)


class CodeMessage(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="The first line is 1.")
    column = serializers.IntegerField(help_text="The first column is 1.")
    message = serializers.CharField()
    severity = serializers.ChoiceField([("error", "error"), ("warning", "warning")])


class CodeStream(serializers.Serializer[Any]):
    name = serializers.CharField()
    sync_modes = serializers.ListField(child=serializers.CharField())
    primary_key = serializers.ListField(child=serializers.CharField())
    cursor_field = serializers.CharField(allow_null=True)


@extend_schema_field({"type": "object", "additionalProperties": True})
class SchemaField(serializers.JSONField):
    """A JSON Schema."""


class CodeReport(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    errors = CodeMessage(many=True)  # type: ignore[assignment]
    warnings = CodeMessage(many=True)
    source_name = serializers.CharField(allow_blank=True, help_text="Name of the source class.")
    description = serializers.CharField(allow_blank=True)
    contract = serializers.CharField(
        allow_blank=True,
        help_text="The kind of class that the source implements: rest, source or bizon.",
    )
    streams = CodeStream(many=True)
    config_schema = SchemaField(help_text="JSON Schema of the settings; secrets are writeOnly.")
    secret_names = serializers.ListField(child=serializers.CharField())
    auth_type = serializers.CharField(allow_blank=True)
    hosts = serializers.ListField(
        child=serializers.CharField(),
        help_text="Hosts the code may connect to: host, *.host, host:port, {setting} for the host in a setting, * for any.",
    )


class CodeRequest(serializers.Serializer[Any]):
    code = CodeField()


class CustomSourceFilter(serializers.Serializer[Any]):
    q = serializers.CharField(required=False, max_length=200)
    archived = serializers.BooleanField(required=False, default=False)


class CustomSourceCreate(serializers.Serializer[Any]):
    name = NameField(max_length=MAX_NAME_LENGTH)
    description = MultilineTextField(max_length=1000, allow_blank=True, default="")
    code = CodeField()
    note = NameField(max_length=200, allow_blank=True, default="")
    approve = serializers.BooleanField(
        default=False,
        help_text="Whether to approve the first version at once, with the hosts that its code names.",
    )


class CustomSourceUpdate(serializers.Serializer[Any]):
    name = NameField(max_length=MAX_NAME_LENGTH, required=False)
    description = MultilineTextField(max_length=1000, allow_blank=True, required=False)
    code = CodeField(required=False)
    note = NameField(max_length=200, allow_blank=True, required=False)
    approve = serializers.BooleanField(required=False)
    archived = serializers.BooleanField(required=False)


class CustomSourceRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    kind = serializers.CharField(
        help_text="The `kind` of connectors and pipelines that use this source."
    )
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    origin = serializers.ChoiceField(Origin.choices)
    repository_id = serializers.UUIDField(
        allow_null=True,
        help_text="The repository that the code comes from. The code can be changed only there.",
    )
    repository_path = serializers.CharField(allow_blank=True)
    latest_version = serializers.IntegerField()
    approved_version = serializers.IntegerField(allow_null=True)
    archived = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class SourcePerson(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class CustomSourceVersionRow(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    note = serializers.CharField(allow_blank=True)
    sha256 = serializers.CharField()
    commit = serializers.CharField(allow_blank=True)
    author = serializers.CharField(allow_blank=True)
    hosts = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    created_by = SourcePerson(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    approved_by = SourcePerson(allow_null=True)


class CustomSourceVersionDetail(CustomSourceVersionRow):
    code = serializers.CharField()
    report = CodeReport()


class CustomSourceDetail(CustomSourceRow):
    version = CustomSourceVersionDetail(help_text="The newest version.")


class CustomSourceDiffQuery(serializers.Serializer[Any]):
    against = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="The version to compare with; by default the previous one.",
    )


class CustomSourceDiff(serializers.Serializer[Any]):
    before = serializers.IntegerField(help_text="0 means an empty version.")
    after = serializers.IntegerField()
    diff = serializers.CharField(
        allow_blank=True,
        allow_null=True,
        help_text=f"Unified diff of the code; null when a version has more than {MAX_COMPARED_LINES:,} lines, which are"
        " too many to compare.",
    )
    hosts_added = serializers.ListField(child=serializers.CharField())
    hosts_removed = serializers.ListField(child=serializers.CharField())


class TryRequest(serializers.Serializer[Any]):
    code = CodeField(required=False)
    id = serializers.UUIDField(required=False, help_text="A saved source to run instead of code.")
    version = serializers.IntegerField(
        required=False, min_value=1, help_text="Version of that source; by default its newest."
    )
    connector_id = serializers.UUIDField(
        required=False, help_text="A saved connector of that source whose settings are used."
    )
    stream = serializers.CharField(max_length=200)
    config = SettingsField(required=False)
    max_records = serializers.IntegerField(
        min_value=1, max_value=MAX_PREVIEW_RECORDS, required=False, default=10
    )


class TryColumn(serializers.Serializer[Any]):
    name = serializers.CharField()
    type = serializers.CharField()
    nullable = serializers.BooleanField()


class TryCall(serializers.Serializer[Any]):
    method = serializers.CharField()
    url = serializers.CharField(help_text="Without its query, which may contain secrets.")
    status = serializers.IntegerField()
    ms = serializers.FloatField()


class TryLine(serializers.Serializer[Any]):
    level = serializers.CharField()
    message = serializers.CharField(allow_blank=True)


class NetworkPlace(serializers.Serializer[Any]):
    """A host and port that the code tried to connect to, with its traffic."""

    host = serializers.CharField()
    port = serializers.IntegerField()
    address = serializers.CharField(allow_blank=True)
    refused = serializers.CharField(
        allow_blank=True, help_text="Why the connection was refused; empty if it was not."
    )
    connections = serializers.IntegerField()
    sent = serializers.IntegerField(help_text="Bytes.")
    received = serializers.IntegerField(help_text="Bytes.")


class TryFailure(serializers.Serializer[Any]):
    failure_class = serializers.CharField()
    message = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())


class TryAnswer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    records = serializers.ListField(child=serializers.DictField())
    rejected = serializers.IntegerField(
        help_text="Number of records that are left out because a run would reject them, such as empty ones."
    )
    skipped = serializers.IntegerField(
        help_text="Number of records that are left out by choice, such as those for which a transform returns nothing."
    )
    left_out = LeftOutReason(
        many=True, help_text="The most frequent reasons why records are rejected or skipped."
    )
    columns = TryColumn(many=True)
    ms = serializers.FloatField()
    requests = TryCall(many=True)
    log = TryLine(many=True)
    network = NetworkPlace(many=True)
    isolation = serializers.CharField(
        allow_blank=True,
        help_text="The isolation level of the sandbox, and the layers that provide it.",
    )
    failure = TryFailure(allow_null=True)


class CookbookEntry(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    code = serializers.CharField()


class Cookbook(serializers.Serializer[Any]):
    results = CookbookEntry(many=True)
    packages = serializers.ListField(
        child=serializers.CharField(),
        help_text="Packages that can be imported, besides the standard library.",
    )
