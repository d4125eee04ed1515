"""Pipelines, every version of their definition, and their schedules."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower

from apps.auth import names
from apps.auth.models import User
from apps.connectors.models import Connector, CustomSource
from apps.orgs.models import Domain, Membership
from apps.orgs.tenancy import OrgOwned


class RunKind(models.TextChoices):
    ORDINARY = "ordinary"  # reads its streams from their positions on
    BACKFILL = "backfill"  # a chunk of a backfill
    REPLAY = "replay"  # sends rejected records again


class Pipeline(OrgOwned):
    """A pipeline. Its definition is in its versions; the columns of source, stream and destination copy parts of it."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=1000, blank=True)
    domain = models.ForeignKey(
        Domain, models.SET_NULL, related_name="+", null=True, blank=True, db_constraint=False
    )
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    enabled = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=1)  # number of the current version
    source_kind = models.CharField(max_length=60)
    destination_kind = models.CharField(max_length=60)
    source_connector = models.ForeignKey(
        Connector, models.PROTECT, related_name="+", null=True, db_constraint=False
    )
    destination_connector = models.ForeignKey(
        Connector, models.PROTECT, related_name="+", null=True, db_constraint=False
    )
    custom_source = models.ForeignKey(
        CustomSource, models.PROTECT, related_name="+", null=True, db_constraint=False
    )
    stream = models.CharField(max_length=200)  # the first of the streams, or the patterns
    # With those that the patterns have chosen, as far as they are known.
    stream_count = models.PositiveIntegerField(default=1, db_default=1)
    # The patterns for which the streams of the source were last matched; null before.
    matched_patterns = models.JSONField(null=True, editable=False)
    timeout_seconds = models.PositiveIntegerField(default=6 * 3600)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    # Increases with every change, including changes of name or tags.
    etag = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # apps.runs copies data of the newest run to these columns, so that the list of pipelines reads one table.
    last_run_id = models.UUIDField(null=True, editable=False)
    last_run_status = models.CharField(max_length=10, blank=True, editable=False)
    last_run_kind = models.CharField(
        max_length=10,
        choices=RunKind.choices,
        default=RunKind.ORDINARY,
        db_default=RunKind.ORDINARY,
        editable=False,
    )
    last_run_finished_at = models.DateTimeField(null=True, editable=False)
    last_run_records = models.BigIntegerField(null=True, editable=False)
    last_run_seconds = models.FloatField(null=True, editable=False)
    # See schedules.freshness.
    last_success_at = models.DateTimeField(null=True, editable=False)
    last_success_seconds = models.PositiveIntegerField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    late_at = models.DateTimeField(null=True, editable=False)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", Lower("name"), name="pipelines_pipeline_name"),
            names.plain_text_check("name", name="pipelines_pipeline_name_plain"),
            names.plain_text_check(
                "description", name="pipelines_pipeline_text_plain", multiline=True
            ),
            names.plain_list_check("tags", name="pipelines_pipeline_tags_plain"),
        ]
        indexes = [
            models.Index(fields=["org", "-created_at", "-id"], name="pipelines_newest"),
            GinIndex(fields=["tags"], name="pipelines_tags"),
        ]

    def __str__(self) -> str:
        return self.name


class StreamState(models.TextChoices):
    INCLUDED = "included"
    WAITING = "waiting"  # until somebody decides
    IGNORED = "ignored"


class PipelineStream(OrgOwned):
    """A stream of the pipeline's current version, and the table that it writes.

    It is named in the definition, or its patterns have chosen it. A new version replaces the rows of the named streams.
    """

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    # In the definition's list. The streams that the patterns have chosen follow it, in the order of their names.
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    state = models.CharField(
        max_length=8,
        choices=StreamState.choices,
        default=StreamState.INCLUDED,
        db_default=StreamState.INCLUDED,
    )
    # What the source offers of a stream that the patterns have chosen: its primary key, cursor fields and sync modes.
    # Null if the definition names the stream.
    offer = models.JSONField(null=True)
    # Its table if the patterns have chosen it, else empty: the table of a named stream is in the definition.
    table = models.CharField(max_length=127, blank=True, db_default="")
    # Whether the source did not list it any more when it was last asked.
    missing = models.BooleanField(default=False, db_default=False)
    # Digest of the table, see `targets`; empty if no other pipeline can write it.
    target = models.CharField(max_length=64, blank=True)
    # False if pipelines shared the table before the rule existed that a table has one writer.
    owns_target = models.BooleanField(default=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "pipeline", "name"], name="pipelines_stream_name"
            ),
            models.UniqueConstraint(
                fields=["org", "target"],
                condition=models.Q(owns_target=True) & ~models.Q(target=""),
                name="pipelines_stream_target",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=StreamState.values), name="pipelines_stream_state"
            ),
        ]
        indexes = [
            models.Index(
                fields=["org", "target"],
                name="pipelines_targets",
                condition=~models.Q(target=""),
            ),
        ]


class SourceStream(OrgOwned):
    """What the last run has found of a stream in the source. The next run is compared with it."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    stream = models.CharField(max_length=200)
    columns = models.JSONField(default=dict)  # {column: type}; the type is empty if it is not known
    key = models.JSONField(null=True)  # list of columns, or null if the source declares no keys
    missing = models.BooleanField(default=False)
    run_id = models.UUIDField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "pipeline", "stream"], name="pipelines_source_stream"
            )
        ]


class ChangeKind(models.TextChoices):
    COLUMN_ADDED = "column_added"
    COLUMN_REMOVED = "column_removed"
    TYPE_CHANGED = "type_changed"
    KEY_CHANGED = "key_changed"
    STREAM_MISSING = "stream_missing"


class ChangeDecision(models.TextChoices):
    ACCEPT = "accept"
    IGNORE = "ignore"
    PAUSE = "pause"


class SourceChange(OrgOwned):
    """A change of a stream at its source that a run has found, and what was decided about it."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    run_id = models.UUIDField()
    stream = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=ChangeKind.choices)
    column = models.CharField(max_length=200, blank=True)
    # The type of the column, or the columns of the key.
    before = models.CharField(max_length=500, blank=True)
    after = models.CharField(max_length=500, blank=True)
    decision = models.CharField(max_length=10, choices=ChangeDecision.choices, blank=True)
    decided_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        indexes = [
            models.Index(
                fields=["org", "pipeline", "-created_at", "-id"], name="pipelines_source_changes"
            )
        ]


class PipelineVersion(OrgOwned):
    """One version of a definition, which never changes. Secrets of inline settings are stored separately, encrypted."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    number = models.PositiveIntegerField()
    definition = models.JSONField()  # see apps.pipelines.definition
    sealed = models.TextField(blank=True)  # encrypted JSON {path: secret} of inline settings
    secret_hints = models.JSONField(default=dict)
    # Whether its DuckDB table is in a file of its own, not in that of its connector. True for all versions that an older
    # release made, also during an upgrade: that release does not know the column.
    own_database = models.BooleanField(default=False, db_default=True)
    note = models.CharField(max_length=200, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "pipeline", "number"], name="pipelines_version_number"
            ),
            names.plain_text_check("note", name="pipelines_version_note_plain"),
            # Older releases write definitions without `streams`, which this release cannot read.
            models.CheckConstraint(
                condition=models.Q(definition__has_key="streams"), name="pipelines_version_streams"
            ),
        ]


class SavedView(OrgOwned):
    """A filter of the list of pipelines that a member has saved under a name."""

    membership = models.ForeignKey(
        Membership, models.CASCADE, related_name="+", db_constraint=False
    )
    name = models.CharField(max_length=80)
    filter = models.JSONField(default=dict)  # parameters of the list's address
    etag = models.PositiveIntegerField(default=1)  # increases with every change
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", "membership", Lower("name"), name="pipelines_view_name"),
            names.plain_text_check("name", name="pipelines_view_name_plain"),
        ]


class Overlap(models.TextChoices):
    SKIP = "skip"
    QUEUE = "queue"
    CANCEL_OTHER = "cancel_other"


class Misfire(models.TextChoices):
    SKIP = "skip"
    RUN_ONCE = "run_once"


class Schedule(OrgOwned):
    """The schedule of a pipeline: a cron expression of five fields or an interval, in an IANA time zone."""

    pipeline = models.OneToOneField(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    cron = models.CharField(max_length=100, blank=True)
    interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    overlap = models.CharField(max_length=12, choices=Overlap.choices, default=Overlap.SKIP)
    misfire = models.CharField(max_length=8, choices=Misfire.choices, default=Misfire.RUN_ONCE)
    jitter_seconds = models.PositiveIntegerField(default=0)
    # Windows in which only a person starts the pipeline, see apps.pipelines.schedules.blackouts.
    blackouts = models.JSONField(default=list, db_default=[])
    end_date = models.DateField(null=True, blank=True)  # the last day with runs, in the time zone
    next_run_at = models.DateTimeField(null=True, blank=True)  # null while paused or disabled
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_note = models.CharField(max_length=200, blank=True)
    paused_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(cron="", interval_seconds__isnull=False)
                | (~models.Q(cron="") & models.Q(interval_seconds__isnull=True)),
                name="pipelines_schedule_cron_or_interval",
            ),
            names.plain_text_check("paused_note", name="pipelines_schedule_note_plain"),
        ]
        indexes = [
            models.Index(
                fields=["next_run_at"],
                name="pipelines_schedule_due",
                condition=models.Q(next_run_at__isnull=False),
            )
        ]


class DependencyMode(models.TextChoices):
    ALL = "all"  # after all upstream pipelines have succeeded
    ANY = "any"  # after each success of one of them


class RunAfter(OrgOwned):
    """When a pipeline starts after other pipelines have succeeded. The others are in Dependency."""

    pipeline = models.OneToOneField(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    mode = models.CharField(
        max_length=3, choices=DependencyMode.choices, default=DependencyMode.ALL
    )
    # A success that is older than this starts nothing; null for no limit.
    window_seconds = models.PositiveIntegerField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(mode__in=DependencyMode.values), name="pipelines_runafter_mode"
            )
        ]


class Dependency(OrgOwned):
    """The pipeline runs after its upstream pipeline has succeeded."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    upstream = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    # Successes of the upstream pipeline until this time have started the pipeline, or are older than the dependency.
    used_until = models.DateTimeField()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["pipeline", "upstream"], name="pipelines_dependency_once"
            ),
            models.CheckConstraint(
                condition=~models.Q(pipeline=models.F("upstream")),
                name="pipelines_dependency_other",
            ),
        ]


class FileWatch(OrgOwned):
    """Starts the pipeline when the files of its source have changed, and have stopped changing. See apps.runs.file_watches.

    A digest is of the names, sizes and times of all files that the pipeline reads.
    """

    pipeline = models.OneToOneField(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    enabled = models.BooleanField(default=True)
    minutes = models.PositiveSmallIntegerField(default=5)  # between two looks
    next_look_at = models.DateTimeField(null=True)  # null while disabled
    looked_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True)  # why the last look has failed
    files = models.PositiveIntegerField(null=True)  # that the last look without a problem has found
    seen_digest = models.CharField(max_length=64, blank=True)  # of these files
    # Of the files for which a run was last started. Null until the next look, whose files then count as if they had
    # started one. Empty if any files start a run.
    started_digest = models.CharField(max_length=64, null=True)  # noqa: DJ001 - null and empty differ

    class Meta(OrgOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(minutes__gte=1, minutes__lte=1440),
                name="pipelines_filewatch_minutes",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_look_at"],
                name="pipelines_filewatch_due",
                condition=models.Q(next_look_at__isnull=False),
            )
        ]


class HookCredential(models.TextChoices):
    TOKEN = "token"  # noqa: S105 - the secret itself
    SIGNATURE = "signature"  # HMAC-SHA256 of a time stamp and the body, with the secret


class Hook(OrgOwned):
    """An address at which a program starts the pipeline. Its secret is encrypted and never shown again."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    name = models.CharField(max_length=120)
    credential = models.CharField(max_length=10, choices=HookCredential.choices)
    sealed = models.TextField()
    secret_last4 = models.CharField(max_length=4)
    enabled = models.BooleanField(default=True)
    last_used_at = models.DateTimeField(null=True)
    minute_began_at = models.DateTimeField(null=True)  # when calls_in_minute was last 1
    calls_in_minute = models.PositiveIntegerField(default=0)
    etag = models.PositiveIntegerField(default=1)  # increases with every change
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", "pipeline", Lower("name"), name="pipelines_hook_name"),
            models.CheckConstraint(
                condition=models.Q(credential__in=HookCredential.values),
                name="pipelines_hook_credential",
            ),
            names.plain_text_check("name", name="pipelines_hook_name_plain"),
        ]


class HookCall(OrgOwned):
    """A call of a hook that has started a run. Another call with the same key or signature starts none."""

    hook = models.ForeignKey(Hook, models.CASCADE, related_name="+", db_constraint=False)
    key = models.CharField(max_length=200, blank=True)  # the Idempotency-Key
    signature = models.CharField(max_length=100, blank=True)
    run_id = models.UUIDField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["hook", "key"], condition=~models.Q(key=""), name="pipelines_hookcall_key"
            ),
            models.UniqueConstraint(
                fields=["hook", "signature"],
                condition=~models.Q(signature=""),
                name="pipelines_hookcall_signature",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="pipelines_hookcall_old")]
