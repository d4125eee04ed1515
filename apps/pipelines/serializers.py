"""The request and response schemas of /pipelines and /schedules."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from apps.auth import names
from apps.connectors.serializers import (
    MAX_NAME_LENGTH,
    ConnectionFailure,
    DomainLabel,
    LeftOutReason,
    SettingsField,
    StreamField,
)
from apps.orgs.http.texts import MultilineTextField, NameField
from apps.pipelines.definition import openapi
from apps.pipelines.models import RunKind, StreamState
from apps.pipelines.schedules.freshness import FRESHNESS
from apps.pipelines.schedules.schema import ScheduleField, ScheduleLabel

MAX_TAGS = 20
MAX_TAG_LENGTH = 50  # characters
STATUSES = ("pending", "running", "succeeded", "failed", "cancelled")
RUN_KIND_HELP = (
    "A backfill reads a window of a stream again, and a replay sends rejected records again. "
    "Neither changes the position of an ordinary run."
)


@extend_schema_field(openapi.create_request_schema())
class ConfigField(SettingsField):
    """A definition document."""


@extend_schema_field(openapi.patch_request_schema())
class ConfigPatchField(SettingsField):
    """Parts of a definition document."""


@extend_schema_field(openapi.preview_request_schema())
class ConfigSourceField(SettingsField):
    """A definition document without a destination."""


@extend_schema_field(openapi.TRANSFORMS)
class TransformsField(serializers.JSONField):
    """The transforms of a stream. `definition` validates them."""


@extend_schema_field(openapi.FIELDS)
class RulesField(serializers.JSONField):
    """The rules for the fields of a stream. `definition` validates them."""


@extend_schema_field(openapi.response_schema())
class MaskedConfigField(serializers.JSONField):
    """A definition document with its secrets masked."""


@extend_schema_field(
    {
        "type": "array",
        "items": {"type": "string", "maxLength": MAX_TAG_LENGTH},
        "maxItems": MAX_TAGS,
        "description": "Converted to lower case and trimmed; no commas.",
    }
)
class TagsField(serializers.Field[list[str], Any, list[str], Any]):
    """A list of tags, trimmed, in lower case, without duplicates."""

    default_error_messages = {
        "list": "Must be a list of strings.",
        "many": f"At most {MAX_TAGS} tags.",
        "tag": f"A tag has 1 to {MAX_TAG_LENGTH} characters and no comma.",
    }

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not all(isinstance(tag, str) for tag in data):
            self.fail("list")
        if len(data) > MAX_TAGS * 10:
            self.fail("many")
        if any(len(tag) > 4 * MAX_TAG_LENGTH for tag in data):
            self.fail("tag")
        try:
            tags = list(dict.fromkeys(names.parse_name(tag).lower() for tag in data))
        except names.InvalidName as error:
            raise serializers.ValidationError(str(error), code="characters") from None
        if len(tags) > MAX_TAGS:
            self.fail("many")
        if any(not tag or len(tag) > MAX_TAG_LENGTH or "," in tag for tag in tags):
            self.fail("tag")
        return tags

    def to_representation(self, value: list[str]) -> list[str]:
        return value


class PipelineUpdate(serializers.Serializer[Any]):
    name = NameField(max_length=MAX_NAME_LENGTH, required=False)
    config: serializers.Field[Any, Any, Any, Any] = ConfigPatchField(
        required=False,
        help_text="Merged into the current definition (RFC 7396); secrets that are left out are kept. The list "
        "`streams` replaces the current list, but missing fields of a stream that the pipeline has keep their values. "
        "A stream with another name starts from the defaults.",
    )
    description = MultilineTextField(
        max_length=1000, allow_blank=True, required=False, trim_whitespace=False
    )
    schedule = ScheduleField(required=False, allow_null=True)
    enabled = serializers.BooleanField(required=False)
    domain_id = serializers.UUIDField(required=False, allow_null=True)
    tags = TagsField(required=False)
    timeout_seconds = serializers.IntegerField(
        required=False, min_value=10, max_value=7 * 86400, help_text="Maximum duration of a run."
    )
    max_attempts = serializers.IntegerField(required=False, min_value=1, max_value=10)


class PipelineCreate(PipelineUpdate):
    name = NameField(max_length=MAX_NAME_LENGTH)
    config = ConfigField()
    description = MultilineTextField(
        max_length=1000, allow_blank=True, default="", trim_whitespace=False
    )
    schedule = ScheduleField(default=None, allow_null=True)
    enabled = serializers.BooleanField(default=True)
    domain_id = serializers.UUIDField(default=None, allow_null=True)
    tags = TagsField(default=list)
    timeout_seconds = serializers.IntegerField(
        default=6 * 3600, min_value=10, max_value=7 * 86400, help_text="Maximum duration of a run."
    )
    max_attempts = serializers.IntegerField(default=3, min_value=1, max_value=10)


class DuplicateRequest(serializers.Serializer[Any]):
    name = NameField(max_length=MAX_NAME_LENGTH, required=False)


class PipelineFilter(serializers.Serializer[Any]):
    domain = serializers.UUIDField(required=False)
    tag = serializers.CharField(
        max_length=200,
        required=False,
        help_text="One or more tags, separated by commas. Lists the pipelines that have all of these tags.",
    )
    enabled = serializers.BooleanField(required=False)
    status = serializers.ChoiceField(
        STATUSES, required=False, help_text="Status of the newest run."
    )
    freshness = serializers.ChoiceField(FRESHNESS, required=False)
    destination = serializers.CharField(
        max_length=60, required=False, help_text="Kind of the destination."
    )
    connector = serializers.UUIDField(required=False)
    q = serializers.CharField(max_length=120, required=False, allow_blank=True)

    def get_fields(self) -> dict[str, Any]:
        """Add the field `source`. As a class attribute it would hide the attribute `source` of the serializer itself."""
        kind = serializers.CharField(max_length=60, required=False, help_text="Kind of the source.")
        return {**super().get_fields(), "source": kind}


class Person(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ScheduleDetail(ScheduleLabel):
    paused_by = Person(allow_null=True)


class LastRun(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(STATUSES)
    kind = serializers.ChoiceField(RunKind.choices, help_text=RUN_KIND_HELP)
    finished_at = serializers.DateTimeField(allow_null=True)
    records = serializers.IntegerField(allow_null=True)
    duration_seconds = serializers.FloatField(
        allow_null=True, help_text="From its start to its end; null until it has ended."
    )


class PipelineRow(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    domain = DomainLabel(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    enabled = serializers.BooleanField()
    version = serializers.IntegerField(help_text="Number of the current version.")
    source_kind = serializers.CharField()
    destination_kind = serializers.CharField()
    stream = serializers.CharField(help_text="The first stream.")
    stream_count = serializers.IntegerField()
    schedule = ScheduleLabel(allow_null=True)
    next_run_at = serializers.DateTimeField(allow_null=True)
    last_run = LastRun(allow_null=True)
    freshness = serializers.ChoiceField(
        FRESHNESS,
        help_text="Whether the pipeline delivers what its schedule promises. `none` if it has no active schedule, or has not run yet.",
    )
    last_success_at = serializers.DateTimeField(
        allow_null=True, help_text="End of the last successful run; not of backfills and replays."
    )
    failing_since = serializers.DateTimeField(
        allow_null=True, help_text="End of the first failed run after the last success."
    )
    late_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When the pipeline becomes late, unless a run succeeds before. Null without an active schedule.",
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class PipelineDetail(PipelineRow):
    schedule = ScheduleDetail(allow_null=True)
    config = MaskedConfigField()
    timeout_seconds = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="Sentences about what should be changed."
    )


class UncheckedPart(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Path, like streams.0.cursor_field.")
    message = serializers.CharField()


class ChangedPipeline(PipelineDetail):
    unchecked = UncheckedPart(
        many=True,
        help_text="Parts of the definition that was sent that could not be compared with what the source has, and why.",
    )


class VersionRow(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    note = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    created_by = Person(allow_null=True)


class VersionDetail(VersionRow):
    config = MaskedConfigField()


class FieldChange(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.JSONField(help_text="Any value; null if there was none.")
    after = serializers.JSONField(help_text="Any value; null if there is none.")
    secret = serializers.BooleanField()
    stream = serializers.CharField(
        required=False, help_text="The stream of the field, if there are several."
    )


class VersionDiff(serializers.Serializer[Any]):
    before = serializers.IntegerField(help_text="Number of the version to compare with.")
    after = serializers.IntegerField()
    changes = FieldChange(many=True)


class DiffQuery(serializers.Serializer[Any]):
    against = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="By default the previous version.",
    )


# This is not a class, because a class attribute `errors` would hide the property `errors` of the serializer.
ValidateAnswer = inline_serializer(
    "ValidateAnswer",
    {
        "valid": serializers.BooleanField(),
        "errors": inline_serializer(
            "Invalidity",
            {
                "field": serializers.CharField(help_text="Path, like source.config.port."),
                "message": serializers.CharField(),
                "code": serializers.CharField(),
            },
            many=True,
        ),
        "unchecked": UncheckedPart(
            many=True,
            help_text="Parts of a valid pipeline that could not be compared with what the source has, and why.",
        ),
    },
)


class PreviewSize(serializers.Serializer[Any]):
    max_records = serializers.IntegerField(default=10, min_value=1, max_value=100)


class PreviewRequest(PreviewSize):
    stream = serializers.CharField(
        required=False,
        max_length=200,
        trim_whitespace=False,
        help_text="The stream to read; the first one by default.",
    )
    fields = RulesField(  # type: ignore[assignment]
        required=False, allow_null=True, help_text="Used instead of the saved rules for the fields."
    )
    transforms = TransformsField(required=False, help_text="Used instead of the saved transforms.")


class PreviewUnsaved(PreviewSize):
    config = ConfigSourceField()


class PreviewAnswer(serializers.Serializer[Any]):
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
    columns = StreamField(many=True)
    ms = serializers.FloatField()
    read_as = serializers.CharField(
        help_text="How the source reads the records, in words, such as the detected dialect of a CSV file. Often empty."
    )
    failure = ConnectionFailure(allow_null=True)


class StreamsOfPipelineQuery(serializers.Serializer[Any]):
    state = serializers.ChoiceField(StreamState.values, required=False)
    missing = serializers.BooleanField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Only streams that the source does not list any more, or only the others.",
    )
    offset = serializers.IntegerField(default=0, min_value=0, max_value=1_000_000)


class StreamOfPipeline(serializers.Serializer[Any]):
    stream = serializers.CharField()
    table = serializers.CharField(allow_blank=True, help_text="Empty if the stream is not read.")
    named = serializers.BooleanField(
        help_text="Whether the definition names the stream. Else its patterns have chosen it."
    )
    state = serializers.ChoiceField(StreamState.values)
    missing = serializers.BooleanField(
        help_text="Whether the source did not list the stream any more at the last run."
    )
    sync_mode = serializers.CharField(allow_null=True)
    write_mode = serializers.CharField(allow_null=True)


class StreamCounts(serializers.Serializer[Any]):
    included = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="New streams that nobody has decided about.")
    ignored = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Included streams that the source has lost.")


class StreamsOfPipeline(serializers.Serializer[Any]):
    results = StreamOfPipeline(many=True)
    count = serializers.IntegerField()
    next_offset = serializers.IntegerField(allow_null=True)
    counts = StreamCounts()


class StreamDecision(serializers.Serializer[Any]):
    decision = serializers.ChoiceField(("add", "ignore"))
    streams = serializers.ListField(
        child=serializers.CharField(max_length=200, trim_whitespace=False),
        min_length=1,
        max_length=2000,
    )


class MatchRequest(serializers.Serializer[Any]):
    config = ConfigSourceField()


class MatchedStreamSerializer(serializers.Serializer[Any]):
    stream = serializers.CharField()
    table = serializers.CharField()
    sync_mode = serializers.CharField()
    cursor_field = serializers.CharField(allow_null=True)
    primary_key = serializers.ListField(child=serializers.CharField())


class MatchAnswer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    streams = MatchedStreamSerializer(many=True)
    total = serializers.IntegerField(help_text="Number of streams of the source.")
    failure = ConnectionFailure(allow_null=True)
