"""What the migrations from 0001 to 0023 create, for new installations. See ADR 89.

Installations to which some of those migrations were applied continue with them. Do not change this file: add migrations.
"""

from django.conf import settings
from django.db import migrations, models

from apps.auth.models import new_id
from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

TENANT = {"base_manager_name": "unscoped"}
MANAGERS = [("objects", models.Manager()), ("unscoped", models.Manager())]

RUN, BACKFILL = "runs_run", "runs_backfill"
PARTS = ("runs_attempt", "runs_event", "runs_logpart", "runs_output", "runs_runstream")
# The function is a placeholder until `runs/usage/counting.sql` is installed: below, or by a later migration if the file has
# changed since.
COUNT_USAGE = """
CREATE OR REPLACE FUNCTION runs_count_usage() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER runs_usage AFTER UPDATE OF records_written, bytes, status ON runs_run
    FOR EACH ROW EXECUTE FUNCTION runs_count_usage();
"""


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("runs", "0001_initial"),
        ("runs", "0002_walls"),
        ("runs", "0003_admission"),
        ("runs", "0004_usage"),
        ("runs", "0005_usage_walls"),
        ("runs", "0006_attempt_network"),
        ("runs", "0007_passed_over"),
        ("runs", "0008_retention"),
        ("runs", "0009_attempt_retryable"),
        ("runs", "0010_sql_functions"),
        ("runs", "0011_forget_job_id"),
        ("runs", "0012_plain_sql_comments"),
        ("runs", "0013_skipped_records"),
        ("runs", "0014_output_database"),
        ("runs", "0015_streams_of_runs"),
        ("runs", "0016_streams_walls"),
        ("runs", "0017_position_retention"),
        ("runs", "0018_snapshots_of_streams"),
        ("runs", "0019_backfills"),
        ("runs", "0020_backfills_walls"),
        ("runs", "0021_settings_of_streams"),
        ("runs", "0022_replays"),
        ("runs", "0023_backfills_of_whole_streams"),
    ]

    dependencies = [
        ("identity", "0003_challenge"),
        ("orgs", "0025_plain_sql_comments"),
        ("pipelines", "0013_streams_walls"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "Backfill",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("stream", models.CharField(max_length=200)),
                ("cursor_field", models.CharField(blank=True, max_length=200)),
                ("mode", models.CharField(choices=[("merge", "Merge"), ("replace", "Replace")], max_length=10)),
                ("bounds", models.JSONField()),
                ("chunks_done", models.PositiveIntegerField(default=0)),
                ("rows_expected", models.BigIntegerField(null=True)),
                ("rows_counted", models.BooleanField()),
                ("status", models.CharField(choices=[("pending", "Pending"), ("running", "Running"), ("succeeded", "Succeeded"), ("failed", "Failed"), ("cancelled", "Cancelled")], default="running", max_length=10)),
                ("failure_message", models.CharField(blank=True, max_length=2000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("created_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("pipeline", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="pipelines.pipeline")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["pipeline", "-created_at", "-id"], name="runs_backfill_newest"),
                    models.Index(condition=models.Q(("status", "running")), fields=["created_at"], name="runs_backfill_unfinished"),
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("status__in", ["pending", "running", "succeeded", "failed", "cancelled"])), name="runs_backfill_status"),
                    models.UniqueConstraint(condition=models.Q(("status", "running")), fields=("pipeline", "stream"), name="runs_backfill_one_unfinished"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Run",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField()),
                ("status", models.CharField(choices=[("pending", "Pending"), ("running", "Running"), ("succeeded", "Succeeded"), ("failed", "Failed"), ("cancelled", "Cancelled")], default="pending", max_length=10)),
                ("trigger", models.CharField(choices=[("manual", "Manual"), ("schedule", "Schedule"), ("api", "Api"), ("retry", "Retry"), ("backfill", "Backfill"), ("replay", "Replay")], max_length=10)),
                ("slot", models.DateTimeField(null=True)),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("max_attempts", models.PositiveSmallIntegerField(default=3)),
                ("idle_attempts", models.PositiveSmallIntegerField(default=0)),
                ("crashes", models.PositiveSmallIntegerField(default=0)),
                ("not_before", models.DateTimeField(null=True)),
                ("job_id", models.BigIntegerField(null=True)),
                ("lease", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("worker", models.CharField(blank=True, max_length=120)),
                ("cancel_requested_at", models.DateTimeField(null=True)),
                ("timeout_seconds", models.PositiveIntegerField(default=21600)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("records_read", models.BigIntegerField(default=0)),
                ("records_written", models.BigIntegerField(default=0)),
                ("records_rejected", models.BigIntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
                ("iterations", models.BigIntegerField(default=0)),
                ("records_total", models.BigIntegerField(null=True)),
                ("rate", models.FloatField(null=True)),
                ("progress_at", models.DateTimeField(null=True)),
                ("failure_class", models.CharField(blank=True, max_length=20)),
                ("failure_message", models.CharField(blank=True, max_length=2000)),
                ("failure_evidence", models.JSONField(default=list)),
                ("failure_retryable", models.BooleanField(null=True)),
                ("event_sequence", models.BigIntegerField(default=0)),
                ("log_lines", models.BigIntegerField(default=0)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("pipeline", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="pipelines.pipeline")),
                ("schedule", models.ForeignKey(db_constraint=False, null=True, on_delete=models.SET_NULL, related_name="+", to="pipelines.schedule")),
                ("triggered_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("claimed_at", models.DateTimeField(null=True)),
                ("log_removal_at", models.DateTimeField(null=True)),
                ("log_removed", models.BigIntegerField(db_default=0, default=0)),
                ("records_skipped", models.BigIntegerField(db_default=0, default=0)),
                ("streams_failed", models.PositiveIntegerField(db_default=0, default=0)),
                ("streams_succeeded", models.PositiveIntegerField(db_default=0, default=0)),
                ("streams_total", models.PositiveIntegerField(db_default=0, default=0)),
                ("chunk", models.PositiveIntegerField(null=True)),
                ("backfill", models.ForeignKey(db_constraint=False, null=True, on_delete=models.SET_NULL, related_name="+", to="runs.backfill")),
                ("replay_of", models.ForeignKey(db_constraint=False, null=True, on_delete=models.SET_NULL, related_name="+", to="runs.run")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "-created_at", "-id"], name="runs_newest"),
                    models.Index(fields=["pipeline", "-created_at", "-id"], name="runs_of_pipeline"),
                    models.Index(condition=models.Q(("status__in", ("pending", "running"))), fields=["status", "created_at"], name="runs_live"),
                    models.Index(condition=models.Q(("status", "pending")), fields=["org", "created_at", "id"], name="runs_waiting"),
                    models.Index(condition=models.Q(("status", "running")), fields=["org"], name="runs_running"),
                    models.Index(fields=["org", "-claimed_at"], name="runs_turn"),
                    models.Index(condition=models.Q(("log_lines__gt", models.F("log_removed"))), fields=["org", "finished_at"], name="runs_with_log"),
                    models.Index(condition=models.Q(("log_removal_at__isnull", False)), fields=["log_removal_at"], name="runs_log_removal"),
                ],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("status__in", ("pending", "running"))), fields=("org", "pipeline"), name="runs_run_one_live_per_pipeline"),
                    models.UniqueConstraint(fields=("schedule", "slot"), name="runs_run_schedule_slot"),
                    models.CheckConstraint(condition=models.Q(("status__in", ["pending", "running", "succeeded", "failed", "cancelled"])), name="runs_run_status"),
                    models.CheckConstraint(
                        condition=models.Q(models.Q(("status", "running"), _negated=True), models.Q(("lease__isnull", False), ("lease_until__isnull", False)), _connector="OR"), name="runs_run_running_has_lease"
                    ),
                    models.UniqueConstraint(fields=("backfill", "chunk"), name="runs_run_backfill_chunk"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Output",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255)),
                ("key", models.CharField(max_length=500)),
                ("bytes", models.BigIntegerField()),
                ("rows", models.BigIntegerField()),
                ("media_type", models.CharField(max_length=80)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("run", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="runs.run")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(condition=models.Q(("media_type", "application/vnd.duckdb")), fields=["org", "key"], name="runs_output_database"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "run", "name"), name="runs_output_name"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "LogPart",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("first_line", models.BigIntegerField()),
                ("lines", models.PositiveIntegerField()),
                ("bytes", models.PositiveIntegerField()),
                ("key", models.CharField(max_length=200)),
                ("levels", models.JSONField(default=dict)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("run", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="runs.run")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "run", "first_line"), name="runs_logpart_first_line"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Event",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField()),
                ("kind", models.CharField(max_length=20)),
                ("body", models.JSONField()),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("run", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="runs.run")),
                ("org_sequence", models.BigIntegerField(null=True)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(condition=models.Q(("kind", "run"), _negated=True), fields=["at"], name="runs_event_details"),
                    models.Index(condition=models.Q(("kind", "run")), fields=["org", "at"], name="runs_event_of_org"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "run", "sequence"), name="runs_event_sequence"),
                    models.UniqueConstraint(fields=("org", "org_sequence"), name="runs_event_org_sequence"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Attempt",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveSmallIntegerField()),
                ("worker", models.CharField(blank=True, max_length=120)),
                ("started_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("outcome", models.CharField(blank=True, max_length=10)),
                ("failure_class", models.CharField(blank=True, max_length=20)),
                ("failure_message", models.CharField(blank=True, max_length=2000)),
                ("records_read", models.BigIntegerField(default=0)),
                ("records_written", models.BigIntegerField(default=0)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("run", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="runs.run")),
                ("launched_at", models.DateTimeField(null=True)),
                ("network", models.JSONField(null=True)),
                ("failure_retryable", models.BooleanField(null=True)),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "run", "number"), name="runs_attempt_number"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Feed",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField(default=0)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org",), name="runs_feed_once"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Usage",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("month", models.DateField()),
                ("rows", models.BigIntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
                ("runs", models.BigIntegerField(default=0)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "month"), name="runs_usage_once"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "RunStream",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("position", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("table", models.CharField(max_length=127)),
                ("status", models.CharField(choices=[("pending", "Pending"), ("running", "Running"), ("succeeded", "Succeeded"), ("failed", "Failed"), ("cancelled", "Cancelled")], default="pending", max_length=10)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("records_read", models.BigIntegerField(default=0)),
                ("records_written", models.BigIntegerField(default=0)),
                ("records_rejected", models.BigIntegerField(default=0)),
                ("records_skipped", models.BigIntegerField(default=0)),
                ("bytes", models.BigIntegerField(default=0)),
                ("iterations", models.BigIntegerField(default=0)),
                ("records_total", models.BigIntegerField(null=True)),
                ("cursor_before", models.JSONField(null=True)),
                ("cursor_after", models.JSONField(null=True)),
                ("failure_class", models.CharField(blank=True, max_length=20)),
                ("failure_message", models.CharField(blank=True, max_length=2000)),
                ("failure_evidence", models.JSONField(default=list)),
                ("failure_retryable", models.BooleanField(null=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("run", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="runs.run")),
                ("snapshot_at", models.DateTimeField(null=True)),
                ("settings", models.JSONField(null=True)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["run", "position"], name="runs_stream_order"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "run", "name"), name="runs_stream_name"),
                    models.CheckConstraint(condition=models.Q(("status__in", ["pending", "running", "succeeded", "failed", "cancelled"])), name="runs_stream_status"),
                ],
            },
            managers=MANAGERS,
        ),
        # No release uses the column any more. As in older installations, it stays in the database.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("run", "job_id")],
        ),
        rls.protect(RUN),
        *(rls.protect(table) for table in PARTS),
        rls.protect("runs_feed"),
        rls.protect("runs_usage"),
        rls.protect(BACKFILL),
        rls.same_org(RUN, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        rls.same_org(RUN, "schedule_id", "pipelines_schedule", on_delete="SET NULL (schedule_id)"),
        rls.same_org(RUN, "backfill_id", BACKFILL, on_delete="SET NULL (backfill_id)"),
        rls.same_org(RUN, "replay_of_id", RUN, on_delete="SET NULL (replay_of_id)"),
        *(rls.same_org(table, "run_id", RUN, on_delete="CASCADE") for table in PARTS),
        rls.same_org(BACKFILL, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        migrations.RunSQL(COUNT_USAGE, "DROP TRIGGER runs_usage ON runs_run;"),
        InstallFunctions(
            {
                "orgs/background.sql": "7b54278a4de3",
                "orgs/members/erasure.sql": "9ece4e852060",
                "runs/claiming/admission.sql": "7a70754389b7",
                "runs/claiming/reconciler.sql": "efd15efa889f",
                "runs/keeping/closing.sql": "593d392c7ee3",
                "runs/keeping/retention.sql": "972b3e90640f",
                "runs/scheduling.sql": "69c9c2efc48c",
                "runs/usage/counting.sql": "6af50f4e0a67",
            }
        ),
    ]
