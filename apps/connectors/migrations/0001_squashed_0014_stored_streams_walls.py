"""What the migrations from 0001 to 0014 create, for new installations. See ADR 89.

Installations to which some of those migrations were applied continue with them. Do not change this file: add migrations.
"""

from django.conf import settings
from django.db import migrations, models
from django.db.models import functions
from django.utils import timezone

from apps.auth.models import new_id
from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

TENANT = {"base_manager_name": "unscoped"}
MANAGERS = [("objects", models.Manager()), ("unscoped", models.Manager())]

CONNECTOR, SOURCE, REPOSITORY = "connectors_connector", "connectors_customsource", "connectors_repository"
VERSION, DISCOVERY = "connectors_customsourceversion", "connectors_discovery"

# Control, format and bidirectional characters, which no name of any script needs.
NOT_IN_NAMES = "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
# Texts of several lines also contain tabs and line feeds.
NOT_IN_TEXTS = NOT_IN_NAMES.replace("\\u0001-\\u001F", "\\u0001-\\u0008\\u000B-\\u001F")


def plain_name(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(**{f"{field}__regex": NOT_IN_NAMES}), name=name)


def plain_text(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(**{f"{field}__regex": NOT_IN_TEXTS}), name=name)


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("connectors", "0001_initial"),
        ("connectors", "0002_owners"),
        ("connectors", "0003_walls"),
        ("connectors", "0004_custom_sources"),
        ("connectors", "0005_custom_sources_walls"),
        ("connectors", "0006_repositories"),
        ("connectors", "0007_repository_walls"),
        ("connectors", "0008_plain_names"),
        ("connectors", "0009_plain_texts"),
        ("connectors", "0010_checked_texts"),
        ("connectors", "0011_files"),
        ("connectors", "0012_files_walls"),
        ("connectors", "0013_stored_streams"),
        ("connectors", "0014_stored_streams_walls"),
    ]

    dependencies = [
        ("orgs", "0025_plain_sql_comments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "Repository",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("url", models.CharField(max_length=500)),
                ("branch", models.CharField(default="main", max_length=200)),
                ("path", models.CharField(blank=True, max_length=300)),
                ("username", models.CharField(blank=True, max_length=100)),
                ("sealed", models.TextField(blank=True)),
                ("has_token", models.BooleanField(default=False)),
                ("token_last4", models.CharField(blank=True, max_length=4)),
                ("approves", models.BooleanField(default=False)),
                (
                    "status",
                    models.CharField(choices=[("never", "Never"), ("waiting", "Waiting"), ("running", "Running"), ("succeeded", "Succeeded"), ("partly", "Partly"), ("failed", "Failed")], default="never", max_length=9),
                ),
                ("claim", models.UUIDField(null=True)),
                ("message", models.CharField(blank=True, max_length=1000)),
                ("synced_at", models.DateTimeField(null=True)),
                ("commit", models.CharField(blank=True, max_length=64)),
                ("author", models.CharField(blank=True, max_length=200)),
                ("subject", models.CharField(blank=True, max_length=200)),
                ("committed_at", models.DateTimeField(null=True)),
                ("outcomes", models.JSONField(default=list)),
                ("etag", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("created_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "verbose_name_plural": "repositories",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "url", "branch", "path"), name="connectors_repository_place"),
                    plain_name("path", name="connectors_repository_path_plain"),
                    plain_name("username", name="connectors_repository_user_plain"),
                    plain_name("author", name="connectors_repository_author_plain"),
                    plain_name("subject", name="connectors_repository_subject_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "CustomSource",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120)),
                ("description", models.CharField(blank=True, max_length=1000)),
                ("origin", models.CharField(choices=[("editor", "Editor"), ("upload", "Upload"), ("repository", "Repository")], default="editor", max_length=10)),
                ("latest", models.PositiveIntegerField(default=1)),
                ("approved", models.PositiveIntegerField(null=True)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
                ("etag", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("created_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("repository_path", models.CharField(blank=True, max_length=500)),
                ("repository", models.ForeignKey(db_constraint=False, null=True, on_delete=models.SET_NULL, related_name="+", to="connectors.repository")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "-created_at", "-id"], name="connectors_custom_newest"),
                ],
                "constraints": [
                    models.UniqueConstraint(models.F("org"), functions.Lower("name"), name="connectors_customsource_name"),
                    models.UniqueConstraint(fields=("org", "repository", "repository_path"), name="connectors_customsource_file"),
                    plain_name("name", name="connectors_custom_name_plain"),
                    plain_name("repository_path", name="connectors_custom_path_plain"),
                    plain_text("description", name="connectors_custom_text_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Connector",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120)),
                ("role", models.CharField(choices=[("source", "Source"), ("destination", "Destination")], max_length=11)),
                ("kind", models.CharField(max_length=60)),
                ("description", models.CharField(blank=True, max_length=1000)),
                ("config", models.JSONField(default=dict)),
                ("sealed", models.TextField(blank=True)),
                ("secret_hints", models.JSONField(default=dict)),
                ("version", models.PositiveIntegerField(default=1)),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("check_ok", models.BooleanField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("created_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("domain", models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=models.SET_NULL, related_name="+", to="orgs.domain")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("custom_source", models.ForeignKey(db_constraint=False, null=True, on_delete=models.PROTECT, related_name="+", to="connectors.customsource")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "-created_at", "-id"], name="connectors_newest"),
                ],
                "constraints": [
                    models.UniqueConstraint(models.F("org"), models.F("role"), functions.Lower("name"), name="connectors_connector_name"),
                    models.CheckConstraint(condition=models.Q(("role__in", ["source", "destination"])), name="connectors_connector_role"),
                    plain_name("name", name="connectors_connector_name_plain"),
                    plain_text("description", name="connectors_connector_text_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "CustomSourceVersion",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                ("code", models.TextField()),
                ("sha256", models.CharField(max_length=64)),
                ("report", models.JSONField()),
                ("note", models.CharField(blank=True, max_length=200)),
                ("commit", models.CharField(blank=True, max_length=64)),
                ("author", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("approved_at", models.DateTimeField(null=True)),
                ("approved_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("created_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("source", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="connectors.customsource")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "source", "number"), name="connectors_customsource_number"),
                    plain_name("note", name="connectors_custom_note_plain"),
                    plain_name("author", name="connectors_custom_author_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "FileUpload",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("bytes", models.PositiveBigIntegerField()),
                ("alive_until", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "created_at"], name="connectors_upload_newest"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "UploadedFile",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("size", models.PositiveBigIntegerField(null=True)),
                ("version", models.PositiveIntegerField(default=1)),
                ("claim", models.UUIDField(null=True)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(default=timezone.now)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("uploaded_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "-updated_at", "-id"], name="connectors_file_newest"),
                    models.Index(condition=models.Q(("claim__isnull", False)), fields=["claimed_until"], name="connectors_file_claimed"),
                ],
                "constraints": [
                    models.UniqueConstraint(models.F("org"), functions.Lower("name"), name="connectors_file_name"),
                    plain_name("name", name="connectors_file_name_plain"),
                    models.CheckConstraint(condition=models.Q(("size__isnull", False), ("claim__isnull", False), _connector="OR"), name="connectors_file_has_content"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Discovery",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("connector_version", models.PositiveIntegerField()),
                ("code_version", models.PositiveIntegerField(null=True)),
                ("streams", models.JSONField()),
                ("found_at", models.DateTimeField(default=timezone.now)),
                ("connector", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="connectors.connector")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "verbose_name_plural": "discoveries",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "connector"), name="connectors_discovery_once"),
                ],
            },
            managers=MANAGERS,
        ),
        rls.protect(CONNECTOR),
        rls.protect(SOURCE),
        rls.protect(VERSION),
        rls.protect(REPOSITORY),
        rls.protect("connectors_uploadedfile"),
        rls.protect("connectors_fileupload"),
        rls.protect(DISCOVERY),
        rls.same_org(CONNECTOR, "domain_id", "orgs_domain", on_delete="SET NULL (domain_id)"),
        rls.same_org(CONNECTOR, "custom_source_id", SOURCE),
        rls.same_org(VERSION, "source_id", SOURCE, on_delete="CASCADE"),
        rls.same_org(SOURCE, "repository_id", REPOSITORY, on_delete="SET NULL (repository_id)"),
        rls.same_org(DISCOVERY, "connector_id", CONNECTOR, on_delete="CASCADE"),
        InstallFunctions({"connectors/files/sweeping.sql": "46ef61053fe8"}),
    ]
