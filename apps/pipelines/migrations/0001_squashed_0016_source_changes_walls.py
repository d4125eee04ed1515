"""What the migrations from 0001 to 0016 create, for new installations. See ADR 89.

Installations to which some of those migrations were applied continue with them. Do not change this file: add migrations.
"""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models
from django.db.models import functions
from django.db.models.lookups import Regex

from apps.auth.models import new_id
from apps.orgs.walls import rls

TENANT = {"base_manager_name": "unscoped"}
MANAGERS = [("objects", models.Manager()), ("unscoped", models.Manager())]

PIPELINE = "pipelines_pipeline"
PARTS = (
    "pipelines_pipelineversion",
    "pipelines_schedule",
    "pipelines_pipelinestream",
    "pipelines_sourcestream",
    "pipelines_sourcechange",
)

# Control, format and bidirectional characters, which no name of any script needs.
NOT_IN_NAMES = "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
# Texts of several lines also contain tabs and line feeds.
NOT_IN_TEXTS = NOT_IN_NAMES.replace("\\u0001-\\u001F", "\\u0001-\\u0008\\u000B-\\u001F")
TAGS = models.Func(models.F("tags"), models.Value(" "), function="array_to_string", output_field=models.TextField())


def plain_name(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(**{f"{field}__regex": NOT_IN_NAMES}), name=name)


def plain_text(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(**{f"{field}__regex": NOT_IN_TEXTS}), name=name)


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("pipelines", "0001_initial"),
        ("pipelines", "0002_walls"),
        ("pipelines", "0003_custom_source"),
        ("pipelines", "0004_custom_source_walls"),
        ("pipelines", "0005_plain_names"),
        ("pipelines", "0006_plain_texts"),
        ("pipelines", "0007_checked_texts"),
        ("pipelines", "0008_streams"),
        ("pipelines", "0009_targets"),
        ("pipelines", "0010_one_writer"),
        ("pipelines", "0011_own_databases"),
        ("pipelines", "0012_streams_of_pipelines"),
        ("pipelines", "0013_streams_walls"),
        ("pipelines", "0014_matched_streams"),
        ("pipelines", "0015_source_changes"),
        ("pipelines", "0016_source_changes_walls"),
    ]

    dependencies = [
        ("connectors", "0005_custom_sources_walls"),
        ("orgs", "0025_plain_sql_comments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "Pipeline",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120)),
                ("description", models.CharField(blank=True, max_length=1000)),
                ("tags", ArrayField(base_field=models.CharField(max_length=50), blank=True, default=list, size=None)),
                ("enabled", models.BooleanField(default=True)),
                ("version", models.PositiveIntegerField(default=1)),
                ("source_kind", models.CharField(max_length=60)),
                ("destination_kind", models.CharField(max_length=60)),
                ("stream", models.CharField(max_length=200)),
                ("timeout_seconds", models.PositiveIntegerField(default=21600)),
                ("max_attempts", models.PositiveSmallIntegerField(default=3)),
                ("etag", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("last_run_id", models.UUIDField(editable=False, null=True)),
                ("last_run_status", models.CharField(blank=True, editable=False, max_length=10)),
                ("last_run_finished_at", models.DateTimeField(editable=False, null=True)),
                ("last_run_records", models.BigIntegerField(editable=False, null=True)),
                ("created_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("destination_connector", models.ForeignKey(db_constraint=False, null=True, on_delete=models.PROTECT, related_name="+", to="connectors.connector")),
                ("domain", models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=models.SET_NULL, related_name="+", to="orgs.domain")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("source_connector", models.ForeignKey(db_constraint=False, null=True, on_delete=models.PROTECT, related_name="+", to="connectors.connector")),
                ("custom_source", models.ForeignKey(db_constraint=False, null=True, on_delete=models.PROTECT, related_name="+", to="connectors.customsource")),
                ("stream_count", models.PositiveIntegerField(db_default=1, default=1)),
                ("matched_patterns", models.JSONField(editable=False, null=True)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "-created_at", "-id"], name="pipelines_newest"),
                    GinIndex(fields=["tags"], name="pipelines_tags"),
                ],
                "constraints": [
                    models.UniqueConstraint(models.F("org"), functions.Lower("name"), name="pipelines_pipeline_name"),
                    plain_name("name", name="pipelines_pipeline_name_plain"),
                    plain_text("description", name="pipelines_pipeline_text_plain"),
                    models.CheckConstraint(condition=~models.Q(Regex(TAGS, NOT_IN_NAMES)), name="pipelines_pipeline_tags_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "PipelineVersion",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("definition", models.JSONField()),
                ("sealed", models.TextField(blank=True)),
                ("secret_hints", models.JSONField(default=dict)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("created_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("pipeline", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="pipelines.pipeline")),
                ("own_database", models.BooleanField(db_default=True, default=False)),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "pipeline", "number"), name="pipelines_version_number"),
                    plain_name("note", name="pipelines_version_note_plain"),
                    models.CheckConstraint(condition=models.Q(("definition__has_key", "streams")), name="pipelines_version_streams"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Schedule",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("cron", models.CharField(blank=True, max_length=100)),
                ("interval_seconds", models.PositiveIntegerField(blank=True, null=True)),
                ("timezone", models.CharField(default="UTC", max_length=64)),
                ("overlap", models.CharField(choices=[("skip", "Skip"), ("queue", "Queue"), ("cancel_other", "Cancel Other")], default="skip", max_length=12)),
                ("misfire", models.CharField(choices=[("skip", "Skip"), ("run_once", "Run Once")], default="run_once", max_length=8)),
                ("jitter_seconds", models.PositiveIntegerField(default=0)),
                ("next_run_at", models.DateTimeField(blank=True, null=True)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("paused_note", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("paused_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("pipeline", models.OneToOneField(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="pipelines.pipeline")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(condition=models.Q(("next_run_at__isnull", False)), fields=["next_run_at"], name="pipelines_schedule_due"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(models.Q(("cron", ""), ("interval_seconds__isnull", False)), models.Q(models.Q(("cron", ""), _negated=True), ("interval_seconds__isnull", True)), _connector="OR"),
                        name="pipelines_schedule_cron_or_interval",
                    ),
                    plain_name("paused_note", name="pipelines_schedule_note_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "PipelineStream",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("position", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("target", models.CharField(blank=True, max_length=64)),
                ("owns_target", models.BooleanField(default=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("pipeline", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="pipelines.pipeline")),
                ("missing", models.BooleanField(db_default=False, default=False)),
                ("offer", models.JSONField(null=True)),
                ("state", models.CharField(choices=[("included", "Included"), ("waiting", "Waiting"), ("ignored", "Ignored")], db_default="included", default="included", max_length=8)),
                ("table", models.CharField(blank=True, db_default="", max_length=127)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(condition=models.Q(("target", ""), _negated=True), fields=["org", "target"], name="pipelines_targets"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "pipeline", "name"), name="pipelines_stream_name"),
                    models.UniqueConstraint(condition=models.Q(("owns_target", True), models.Q(("target", ""), _negated=True)), fields=("org", "target"), name="pipelines_stream_target"),
                    models.CheckConstraint(condition=models.Q(("state__in", ["included", "waiting", "ignored"])), name="pipelines_stream_state"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "SourceChange",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("run_id", models.UUIDField()),
                ("stream", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[("column_added", "Column Added"), ("column_removed", "Column Removed"), ("type_changed", "Type Changed"), ("key_changed", "Key Changed"), ("stream_missing", "Stream Missing")],
                        max_length=20,
                    ),
                ),
                ("column", models.CharField(blank=True, max_length=200)),
                ("before", models.CharField(blank=True, max_length=500)),
                ("after", models.CharField(blank=True, max_length=500)),
                ("decision", models.CharField(blank=True, choices=[("accept", "Accept"), ("ignore", "Ignore"), ("pause", "Pause")], max_length=10)),
                ("decided_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("decided_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("pipeline", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="pipelines.pipeline")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "pipeline", "-created_at", "-id"], name="pipelines_source_changes"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "SourceStream",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("stream", models.CharField(max_length=200)),
                ("columns", models.JSONField(default=dict)),
                ("key", models.JSONField(null=True)),
                ("missing", models.BooleanField(default=False)),
                ("run_id", models.UUIDField()),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("pipeline", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="pipelines.pipeline")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "pipeline", "stream"), name="pipelines_source_stream"),
                ],
            },
            managers=MANAGERS,
        ),
        rls.protect(PIPELINE),
        *(rls.protect(table) for table in PARTS),
        rls.same_org(PIPELINE, "domain_id", "orgs_domain", on_delete="SET NULL (domain_id)"),
        rls.same_org(PIPELINE, "source_connector_id", "connectors_connector"),
        rls.same_org(PIPELINE, "destination_connector_id", "connectors_connector"),
        rls.same_org(PIPELINE, "custom_source_id", "connectors_customsource"),
        *(rls.same_org(table, "pipeline_id", PIPELINE, on_delete="CASCADE") for table in PARTS),
    ]
