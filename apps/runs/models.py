"""Runs, their attempts, events, logs and outputs. A run's state is in its row; queue jobs only wake workers."""

from __future__ import annotations

from uuid import UUID

from django.db import models

from apps.auth.models import User
from apps.orgs.tenancy import OrgOwned
from apps.pipelines.models import Pipeline, RunKind, Schedule


class Status(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


LIVE = (Status.PENDING, Status.RUNNING)
ENDED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})


class Trigger(models.TextChoices):
    MANUAL = "manual"
    SCHEDULE = "schedule"
    API = "api"
    RETRY = "retry"
    BACKFILL = "backfill"
    REPLAY = "replay"
    DEPENDENCY = "dependency"
    HOOK = "hook"
    FILE = "file"


# Nobody would see an exception of such a start.
UNATTENDED_TRIGGERS = frozenset({Trigger.SCHEDULE, Trigger.DEPENDENCY, Trigger.FILE})


def kind_of_run(trigger: str, backfill_id: UUID | None) -> RunKind:
    if trigger == Trigger.REPLAY:
        return RunKind.REPLAY
    return RunKind.ORDINARY if backfill_id is None else RunKind.BACKFILL


class BackfillMode(models.TextChoices):
    MERGE = "merge"  # rows are inserted or updated by their key
    REPLACE = "replace"  # the rows of the window are replaced


class Backfill(OrgOwned):
    """One reading of a window of a stream once more, in chunks. Each chunk is a run.

    `bounds` are the values between the chunks, with the start (None for the first value of the stream) and the end. An
    end of None means that the only chunk is the whole stream.
    """

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    # Version of the pipeline's definition when the backfill was created. It ends if its stream has other settings now.
    version = models.PositiveIntegerField()
    stream = models.CharField(max_length=200)
    cursor_field = models.CharField(max_length=200, blank=True)
    mode = models.CharField(max_length=10, choices=BackfillMode.choices)
    bounds = models.JSONField()
    chunks_done = models.PositiveIntegerField(default=0)
    rows_expected = models.BigIntegerField(null=True)  # null if nothing is known about their number
    rows_counted = models.BooleanField()  # else they are an estimate
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    failure_message = models.CharField(max_length=2000, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="runs_backfill_status"
            ),
            models.UniqueConstraint(
                fields=["pipeline", "stream"],
                condition=models.Q(status=Status.RUNNING),
                name="runs_backfill_one_unfinished",
            ),
        ]
        indexes = [
            models.Index(fields=["pipeline", "-created_at", "-id"], name="runs_backfill_newest"),
            models.Index(
                fields=["created_at"],
                name="runs_backfill_unfinished",
                condition=models.Q(status=Status.RUNNING),
            ),
        ]

    @property
    def chunk_count(self) -> int:
        return len(self.bounds) - 1


class Run(OrgOwned):
    """One execution of a pipeline. For its states and allowed moves see apps.runs.states."""

    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    # Version of the pipeline's definition, fixed when the run is created.
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    triggered_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    schedule = models.ForeignKey(
        Schedule, models.SET_NULL, related_name="+", null=True, db_constraint=False
    )
    slot = models.DateTimeField(null=True)  # the scheduled time for which this run was created
    backfill = models.ForeignKey(
        Backfill, models.SET_NULL, related_name="+", null=True, db_constraint=False
    )
    chunk = models.PositiveIntegerField(null=True)  # of the backfill, from 0
    # The run whose rejected records this run sends again. It is null for a replay whose run was removed.
    replay_of = models.ForeignKey(
        "self", models.SET_NULL, related_name="+", null=True, db_constraint=False
    )

    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    # Consecutive attempts that read no new record.
    idle_attempts = models.PositiveSmallIntegerField(default=0)
    # Attempts whose worker died; limited by retries.MAX_CRASHES.
    crashes = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True)  # earliest time of the next attempt

    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    timeout_seconds = models.PositiveIntegerField(default=6 * 3600)

    created_at = models.DateTimeField(auto_now_add=True)
    # Start of the first attempt since the last manual retry.
    started_at = models.DateTimeField(null=True)
    # Start of the newest attempt; decides the order between orgs.
    claimed_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    records_read = models.BigIntegerField(default=0)
    records_written = models.BigIntegerField(default=0)
    records_rejected = models.BigIntegerField(default=0)
    # Records that the user chose to leave out. Read records are written, rejected or skipped.
    records_skipped = models.BigIntegerField(default=0, db_default=0)
    bytes = models.BigIntegerField(default=0)
    iterations = models.BigIntegerField(default=0)
    records_total = models.BigIntegerField(null=True)  # records in the source, if it reports them
    rate = models.FloatField(null=True)  # current records per second
    progress_at = models.DateTimeField(null=True)

    # Its streams, and those that have failed; 0 before the first attempt.
    streams_total = models.PositiveIntegerField(default=0, db_default=0)
    streams_failed = models.PositiveIntegerField(default=0, db_default=0)
    streams_succeeded = models.PositiveIntegerField(default=0, db_default=0)

    failure_class = models.CharField(max_length=20, blank=True)
    failure_message = models.CharField(max_length=2000, blank=True)
    failure_evidence = models.JSONField(default=list)
    failure_retryable = models.BooleanField(null=True)

    event_sequence = models.BigIntegerField(default=0)
    log_lines = models.BigIntegerField(default=0)
    # Lines with lower numbers were removed.
    log_removed = models.BigIntegerField(default=0, db_default=0)
    log_removal_at = models.DateTimeField(null=True)  # set while the log is being removed

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "pipeline"],
                condition=models.Q(status__in=LIVE),
                name="runs_run_one_live_per_pipeline",
            ),
            models.UniqueConstraint(fields=["schedule", "slot"], name="runs_run_schedule_slot"),
            models.UniqueConstraint(fields=["backfill", "chunk"], name="runs_run_backfill_chunk"),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="runs_run_status"
            ),
            models.CheckConstraint(
                condition=~models.Q(status=Status.RUNNING)
                | models.Q(lease__isnull=False, lease_until__isnull=False),
                name="runs_run_running_has_lease",
            ),
        ]
        indexes = [
            models.Index(fields=["org", "-created_at", "-id"], name="runs_newest"),
            models.Index(fields=["pipeline", "-created_at", "-id"], name="runs_of_pipeline"),
            models.Index(
                fields=["status", "created_at"],
                name="runs_live",
                condition=models.Q(status__in=LIVE),
            ),
            models.Index(
                fields=["org", "created_at", "id"],
                name="runs_waiting",
                condition=models.Q(status=Status.PENDING),
            ),
            models.Index(
                fields=["org"], name="runs_running", condition=models.Q(status=Status.RUNNING)
            ),
            models.Index(fields=["org", "-claimed_at"], name="runs_turn"),
            models.Index(
                fields=["org", "-finished_at", "-id"],
                name="runs_ended",
                condition=models.Q(finished_at__isnull=False),
            ),
            models.Index(
                fields=["org", "finished_at"],
                name="runs_with_log",
                condition=models.Q(log_lines__gt=models.F("log_removed")),
            ),
            models.Index(
                fields=["log_removal_at"],
                name="runs_log_removal",
                condition=models.Q(log_removal_at__isnull=False),
            ),
        ]

    @property
    def is_ordinary(self) -> bool:
        """Whether the run reads its streams from their positions on: no chunk of a backfill, and no replay."""
        return kind_of_run(self.trigger, self.backfill_id) == RunKind.ORDINARY


# The condition for the same runs in a query.
ORDINARY_RUNS = models.Q(backfill=None) & ~models.Q(trigger=Trigger.REPLAY)


class UpstreamRun(OrgOwned):
    """A success of an upstream pipeline that has started the run. It starts at most one run of each pipeline."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="+", db_constraint=False)
    pipeline = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    upstream = models.ForeignKey(Pipeline, models.CASCADE, related_name="+", db_constraint=False)
    upstream_run_id = models.UUIDField()  # may have been removed

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["pipeline", "upstream_run_id"], name="runs_upstreamrun_once"
            )
        ]


class RunStream(OrgOwned):
    """One stream of a run: its state, its counts of all attempts, and its failure."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="+", db_constraint=False)
    position = models.PositiveIntegerField()  # in the definition's list
    name = models.CharField(max_length=200)
    table = models.CharField(max_length=127)
    # The settings of a stream that the patterns of the pipeline have chosen when the run began, as in a definition.
    settings = models.JSONField(null=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    started_at = models.DateTimeField(null=True)  # start in the newest attempt
    finished_at = models.DateTimeField(null=True)
    records_read = models.BigIntegerField(default=0)
    records_written = models.BigIntegerField(default=0)
    records_rejected = models.BigIntegerField(default=0)
    records_skipped = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    iterations = models.BigIntegerField(default=0)
    records_total = models.BigIntegerField(null=True)  # records in the source, if it reports them
    # Positions of an incremental stream before and after the run.
    cursor_before = models.JSONField(null=True)
    cursor_after = models.JSONField(null=True)
    # Time of the snapshot that it shared with other streams; null if it was read for itself.
    snapshot_at = models.DateTimeField(null=True)
    failure_class = models.CharField(max_length=20, blank=True)
    failure_message = models.CharField(max_length=2000, blank=True)
    failure_evidence = models.JSONField(default=list)
    failure_retryable = models.BooleanField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "run", "name"], name="runs_stream_name"),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="runs_stream_status"
            ),
        ]
        indexes = [models.Index(fields=["run", "position"], name="runs_stream_order")]


class Attempt(OrgOwned):
    """One attempt at a run."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="+", db_constraint=False)
    number = models.PositiveSmallIntegerField()
    worker = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    launched_at = models.DateTimeField(null=True)  # when the child process reported its start
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, blank=True)
    failure_class = models.CharField(max_length=20, blank=True)
    failure_message = models.CharField(max_length=2000, blank=True)
    failure_retryable = models.BooleanField(null=True)
    records_read = models.BigIntegerField(default=0)
    records_written = models.BigIntegerField(default=0)
    # Hosts that the attempt connected to, see apps.egress.log.
    network = models.JSONField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "run", "number"], name="runs_attempt_number")
        ]


class Event(OrgOwned):
    """An event of a run, numbered; announced by NOTIFY in the transaction that wrote it."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="+", db_constraint=False)
    sequence = models.BigIntegerField()
    # The event's number among the events of the whole org; null if only followers of the run receive it.
    org_sequence = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=20)
    body = models.JSONField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "run", "sequence"], name="runs_event_sequence"),
            models.UniqueConstraint(fields=["org", "org_sequence"], name="runs_event_org_sequence"),
        ]
        indexes = [
            models.Index(fields=["at"], name="runs_event_details", condition=~models.Q(kind="run")),
            models.Index(
                fields=["org", "at"], name="runs_event_of_org", condition=models.Q(kind="run")
            ),
        ]


class Feed(OrgOwned):
    """The counter of an org's event stream: one row per org, locked by each writer to the stream."""

    sequence = models.BigIntegerField(default=0)

    class Meta(OrgOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["org"], name="runs_feed_once")]


class Usage(OrgOwned):
    """The records and bytes an org's runs moved in a month.

    A database trigger adds to it whenever a run's counters change; deleting a pipeline subtracts nothing.
    """

    month = models.DateField()  # first day of the month, UTC
    rows = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    runs = models.BigIntegerField(default=0)

    class Meta(OrgOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["org", "month"], name="runs_usage_once")]


class LogPart(OrgOwned):
    """A part of a run's log in storage: JSON lines numbered from `first_line`."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="+", db_constraint=False)
    first_line = models.BigIntegerField()
    lines = models.PositiveIntegerField()
    bytes = models.PositiveIntegerField()
    key = models.CharField(max_length=200)
    # {level: lines}, so that a level filter can skip whole parts.
    levels = models.JSONField(default=dict)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "run", "first_line"], name="runs_logpart_first_line"
            )
        ]


class Output(OrgOwned):
    """A file that a run published to Drover's storage."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="+", db_constraint=False)
    name = models.CharField(max_length=255)
    key = models.CharField(max_length=500)
    bytes = models.BigIntegerField()
    rows = models.BigIntegerField()
    media_type = models.CharField(max_length=80)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "run", "name"], name="runs_output_name")
        ]
        indexes = [
            models.Index(
                fields=["org", "key"],
                name="runs_output_database",
                condition=models.Q(media_type="application/vnd.duckdb"),
            )
        ]
