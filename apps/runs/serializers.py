"""The request and response schemas of the API for runs.

Responses are rendered from rows; these classes document them.
"""

from __future__ import annotations

from typing import Any, get_args

from rest_framework import serializers

from apps.connectors.custom_sources.serializers import NetworkPlace
from apps.connectors.models import ConnectorRole
from apps.engine.failures import FailureClass
from apps.engine.frames.left_out import KINDS, MAX_KEPT
from apps.pipelines.models import RunKind
from apps.pipelines.serializers import RUN_KIND_HELP
from apps.runs.models import Status, Trigger
from apps.runs.next_steps import Setting
from apps.runs.outputs.log_search import LEVELS
from apps.runs.queries import SEARCHED_FAILURES


class StartSerializer(serializers.Serializer[Any]):
    force = serializers.BooleanField(
        default=False, help_text="Run the pipeline even if it is disabled."
    )


class NothingSerializer(serializers.Serializer[Any]):
    """An empty object."""


class RunListQuery(serializers.Serializer[Any]):
    pipeline = serializers.UUIDField(required=False, help_text="Runs of this pipeline.")
    domain = serializers.UUIDField(required=False, help_text="Runs of pipelines of this domain.")
    status = serializers.ChoiceField(Status.choices, required=False)
    trigger = serializers.ChoiceField(Trigger.choices, required=False)
    since = serializers.DateTimeField(required=False, help_text="Created at this time or later.")
    until = serializers.DateTimeField(required=False, help_text="Created before this time.")
    q = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=120,
        help_text="Runs with this text in the name of their pipeline or in the message of their failure. Only the messages"
        f" of the newest {SEARCHED_FAILURES:,} failed runs that the other filters leave are searched: set `until` or"
        " `pipeline` to search older ones.",
    )


class LogQuery(serializers.Serializer[Any]):
    offset = serializers.IntegerField(
        default=0,
        min_value=0,
        max_value=2**62,
        help_text="Number of the first line to return, from 0.",
    )
    limit = serializers.IntegerField(default=1000, min_value=1, max_value=5000)
    level = serializers.ChoiceField(
        LEVELS,
        required=False,
        help_text="Only lines of this level or of a more severe level.",
    )
    q = serializers.CharField(
        required=False,
        max_length=200,
        trim_whitespace=False,
        help_text="Only lines with this text in their message or fields, in upper or lower case. A search ends after some seconds: "
        "a page then has fewer lines, and `next_offset` is where the search continues.",
    )


class LogMatchesQuery(LogQuery):
    limit = None  # type: ignore[assignment]  # not a parameter of this operation


class DownloadQuery(serializers.Serializer[Any]):
    redirect = serializers.BooleanField(
        default=True,
        help_text="false: send the file through Drover instead of redirecting to the object store.",
    )


class NamedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ProgressSerializer(serializers.Serializer[Any]):
    """Counts of the whole sync, including earlier attempts."""

    read = serializers.IntegerField(help_text="written + rejected + skipped")
    written = serializers.IntegerField()
    rejected = serializers.IntegerField(
        help_text="Records that could not be read or do not fit, and that nobody chose to leave out."
    )
    skipped = serializers.IntegerField(
        help_text="Records that the user chose to leave out, such as those for which a transform returned nothing."
    )
    bytes = serializers.IntegerField()
    iterations = serializers.IntegerField(help_text="Pages read.")
    total = serializers.IntegerField(
        allow_null=True, help_text="The number of records in the source, if known."
    )
    rate = serializers.FloatField(allow_null=True, help_text="Current records per second.")
    eta_seconds = serializers.FloatField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)


class FailureSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()
    evidence = serializers.ListField(child=serializers.CharField())
    retryable = serializers.BooleanField(
        allow_null=True,
        help_text="Whether a retry without changes can help; null for attempts of older releases, which did not record it.",
    )
    next_step = serializers.CharField()
    sides = serializers.ListField(
        child=serializers.ChoiceField(ConnectorRole.choices),
        help_text="The sides of the pipeline whose connectors may be the cause.",
    )
    setting = serializers.ChoiceField(
        list(get_args(Setting)),
        allow_null=True,
        help_text="The setting of the pipeline, or of its stream, that the failure is about.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the field `class`, which is a Python keyword and cannot be an attribute."""
        choices = [(choice.value, choice.value) for choice in FailureClass]
        return {"class": serializers.ChoiceField(choices), **super().get_fields()}


class AttemptSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    status = serializers.CharField(
        help_text="running, succeeded, failed, cancelled, or released because its worker was stopping"
    )
    worker = serializers.CharField()
    started_at = serializers.DateTimeField()
    launched_at = serializers.DateTimeField(
        allow_null=True, help_text="When the child process of the attempt started."
    )
    finished_at = serializers.DateTimeField(allow_null=True)
    records_read = serializers.IntegerField(
        help_text="Records read by the run until this attempt ended, including earlier attempts."
    )
    records_written = serializers.IntegerField(
        help_text="Records written by the run until this attempt ended, including earlier attempts."
    )
    failure = FailureSerializer(allow_null=True)
    network = NetworkPlace(
        many=True,
        help_text="The hosts that the attempt tried to connect to, including refused hosts.",
    )


class UpstreamRunSerializer(serializers.Serializer[Any]):
    pipeline_id = serializers.UUIDField()
    run_id = serializers.UUIDField()


class RunRowSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    pipeline = NamedSerializer()
    domain_id = serializers.UUIDField(allow_null=True)
    version = serializers.IntegerField(help_text="Version of the pipeline's definition.")
    status = serializers.ChoiceField(Status.choices)
    trigger = serializers.ChoiceField(Trigger.choices)
    kind = serializers.ChoiceField(RunKind.choices, help_text=RUN_KIND_HELP)
    triggered_by = serializers.EmailField(
        allow_null=True,
        help_text="The account that started the run, or whose API key did; null if Drover or an operator started it, or if"
        " the account was deleted.",
    )
    triggered_by_name = serializers.CharField(
        allow_null=True, help_text="The name of this account; empty if it has none."
    )
    schedule_id = serializers.UUIDField(allow_null=True)
    slot = serializers.DateTimeField(
        allow_null=True, help_text="The scheduled time for which this run was created."
    )
    replay_of = serializers.UUIDField(
        allow_null=True, help_text="The run whose rejected records this run sends again."
    )
    upstream_runs = UpstreamRunSerializer(
        many=True,
        help_text="The runs of other pipelines after which this run has started, if its trigger is `dependency`.",
    )
    attempt = serializers.IntegerField()
    max_attempts = serializers.IntegerField()
    waiting_reason = serializers.CharField(allow_null=True)
    place_in_line = serializers.IntegerField(
        allow_null=True, help_text="Position among the organization's waiting runs, from 1."
    )
    not_before = serializers.DateTimeField(
        allow_null=True, help_text="The next attempt of a waiting run starts at this time or later."
    )
    cancel_requested = serializers.BooleanField()
    timeout_seconds = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    progress = ProgressSerializer()
    failure = FailureSerializer(allow_null=True)
    streams_total = serializers.IntegerField(
        help_text="The streams of the run. Before its first attempt, those that its pipeline has."
    )
    streams_failed = serializers.IntegerField()
    streams_succeeded = serializers.IntegerField()
    event_sequence = serializers.IntegerField(
        help_text="Number of the run's newest event. Send it as Last-Event-ID to receive only later events."
    )
    log_lines = serializers.IntegerField()


class RunSerializer(RunRowSerializer):
    attempts = AttemptSerializer(many=True)
    records_readable = serializers.BooleanField(
        help_text="Whether the destination stores the records in a way in which they can be shown."
    )


class RunStreamSerializer(serializers.Serializer[Any]):
    """One stream of a run. The counts are those of all attempts."""

    position = serializers.IntegerField(help_text="Place in the pipeline's list, from 0.")
    stream = serializers.CharField()
    table = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    read = serializers.IntegerField(help_text="written + rejected + skipped")
    written = serializers.IntegerField()
    rejected = serializers.IntegerField()
    skipped = serializers.IntegerField()
    bytes = serializers.IntegerField()
    total = serializers.IntegerField(
        allow_null=True, help_text="The number of records in the source, if known."
    )
    cursor_before = serializers.JSONField(
        help_text="The position of an incremental stream before the run; null if there was none."
    )
    cursor_after = serializers.JSONField(
        help_text="The position from which the next incremental run continues; null if there is none."
    )
    snapshot_at = serializers.DateTimeField(
        allow_null=True,
        help_text="The moment as of which the stream was read together with others; null if it was read for itself.",
    )
    started_at = serializers.DateTimeField(
        allow_null=True, help_text="When the stream was started in the newest attempt."
    )
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    failure = FailureSerializer(allow_null=True)


class SharedMomentSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField(
        allow_null=True, help_text="null: each of these streams was read for itself."
    )
    streams = serializers.IntegerField(help_text="The published streams as of this moment.")


class RunStreamListSerializer(serializers.Serializer[Any]):
    results = RunStreamSerializer(many=True)
    moments = SharedMomentSerializer(
        many=True,
        help_text="The moments as of which the published streams were read. With one that is not null, all rows agree.",
    )
    count = serializers.IntegerField(help_text="All streams of the run with this status.")
    next_offset = serializers.IntegerField(allow_null=True)


class RunStreamQuery(serializers.Serializer[Any]):
    status = serializers.ChoiceField(Status.choices, required=False)
    offset = serializers.IntegerField(default=0, min_value=0, max_value=100_000)


class LogLineSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="Line number, from 0.")
    at = serializers.DateTimeField()
    level = serializers.ChoiceField(LEVELS)
    message = serializers.CharField()
    fields_ = serializers.DictField()

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the field `fields`, whose name the serializer itself uses."""
        fields = super().get_fields()
        return {**{k: v for k, v in fields.items() if k != "fields_"}, "fields": fields["fields_"]}


class LogPageSerializer(serializers.Serializer[Any]):
    offset = serializers.IntegerField()
    lines = LogLineSerializer(many=True)
    next_offset = serializers.IntegerField(
        allow_null=True,
        help_text="Offset of the next page; null if there are no further lines now.",
    )
    total = serializers.IntegerField(help_text="Number of lines written so far.")
    complete = serializers.BooleanField(
        help_text="Whether the run has ended and no line follows this page."
    )
    removed = serializers.IntegerField(
        help_text="Lines before this number were removed because they expired."
    )
    note = serializers.CharField(
        help_text="A sentence about removed lines; empty if none were removed."
    )


class LogPartSerializer(serializers.Serializer[Any]):
    first_line = serializers.IntegerField(help_text="Number of its first line, from 0.")
    lines = serializers.IntegerField()
    matches = serializers.IntegerField(help_text="Lines of the part that match.")


class LogMatchesSerializer(serializers.Serializer[Any]):
    parts = LogPartSerializer(
        many=True, help_text="The stored parts of the log that have matching lines, in order."
    )
    next_offset = serializers.IntegerField(
        allow_null=True,
        help_text="The line from which the search has to continue; null if all lines were searched.",
    )
    total = serializers.IntegerField(help_text="Number of lines written so far.")


class OutputSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    bytes = serializers.IntegerField()
    rows = serializers.IntegerField()
    media_type = serializers.CharField()
    created_at = serializers.DateTimeField()


class OutputListSerializer(serializers.Serializer[Any]):
    results = OutputSerializer(many=True)


class LeftOutQuery(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(KINDS, default="rejected")
    offset = serializers.IntegerField(
        default=0, min_value=0, max_value=2**31, help_text="Number of the first record, from 0."
    )


class LeftOutRecordSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="Number among the kept records of the run, from 0.")
    reason = serializers.CharField()
    position = serializers.CharField(help_text="The place of the record in the source.")
    record = serializers.CharField(
        allow_null=True,
        help_text="The record as JSON text; null without the permission data.view.",
    )
    complete = serializers.BooleanField(
        help_text="Whether the text is the whole record. Only the beginning of a very large record is kept."
    )


class LeftOutSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(KINDS)
    count = serializers.IntegerField(help_text="All records of this kind of the run.")
    kept = serializers.IntegerField(
        help_text=f"How many of them are kept: of a stream at most {MAX_KEPT['rejected']:,} rejected and"
        f" {MAX_KEPT['skipped']:,} skipped ones."
    )
    results = LeftOutRecordSerializer(many=True)
    next_offset = serializers.IntegerField(allow_null=True)
    note = serializers.CharField(
        help_text="A sentence about records or values that are not shown; empty if all are."
    )


class MeasureSerializer(serializers.Serializer[Any]):
    name = serializers.ChoiceField(
        choices=["rows_month", "bytes_month", "running", "pipelines", "members", "file_bytes"]
    )
    used = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True, help_text="null means no limit.")
    state = serializers.ChoiceField(
        choices=["ok", "warning", "reached"], help_text="`warning` means 80% of the limit or more."
    )


class MonthSerializer(serializers.Serializer[Any]):
    month = serializers.DateField(help_text="First day of the month, UTC.")
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    runs = serializers.IntegerField()


class KeptSerializer(serializers.Serializer[Any]):
    name = serializers.ChoiceField(["logs", "outputs", "events", "runs", "audit"])
    days = serializers.IntegerField(
        allow_null=True,
        help_text="Number of days for which the data is stored; null means forever.",
    )
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField(allow_null=True, help_text="null means not measured.")


class UsageSerializer(serializers.Serializer[Any]):
    limits = MeasureSerializer(many=True)
    months = MonthSerializer(many=True)
    kept = KeptSerializer(many=True)
