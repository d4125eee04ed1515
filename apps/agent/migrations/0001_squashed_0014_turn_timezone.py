"""What the migrations from 0001 to 0014 create, for new installations. See ADR 89.

Installations to which some of those migrations were applied continue with them. Do not change this file: add migrations.
"""

from django.conf import settings
from django.db import migrations, models

from apps.auth.models import new_id
from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

TENANT = {"base_manager_name": "unscoped"}
MANAGERS = [("objects", models.Manager()), ("unscoped", models.Manager())]

CONVERSATION, TURN = "agent_conversation", "agent_turn"
PARTS = ("agent_event", "agent_call", "agent_approval", "agent_sourcedocument", "agent_sourcesettings")

# The tables of langgraph-checkpoint-postgres, in a schema of their own. A test compares them with those that its own
# `setup` creates. It is not called here, because importing it would cost every first start a second.
CHECKPOINTS = """
CREATE SCHEMA IF NOT EXISTS agent;
CREATE TABLE agent.checkpoint_migrations (v integer PRIMARY KEY);
CREATE TABLE agent.checkpoints (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
    parent_checkpoint_id text, type text, checkpoint jsonb NOT NULL, metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id));
CREATE TABLE agent.checkpoint_blobs (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', channel text NOT NULL, version text NOT NULL,
    type text NOT NULL, blob bytea,
    PRIMARY KEY (thread_id, checkpoint_ns, channel, version));
CREATE TABLE agent.checkpoint_writes (
    thread_id text NOT NULL, checkpoint_ns text NOT NULL DEFAULT '', checkpoint_id text NOT NULL,
    task_id text NOT NULL, idx integer NOT NULL, channel text NOT NULL, type text, blob bytea NOT NULL,
    task_path text NOT NULL DEFAULT '',
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx));
CREATE INDEX checkpoints_thread_id_idx ON agent.checkpoints (thread_id);
CREATE INDEX checkpoint_blobs_thread_id_idx ON agent.checkpoint_blobs (thread_id);
CREATE INDEX checkpoint_writes_thread_id_idx ON agent.checkpoint_writes (thread_id);
INSERT INTO agent.checkpoint_migrations SELECT generate_series(0, 9);
REVOKE ALL ON SCHEMA agent FROM PUBLIC;
GRANT USAGE ON SCHEMA agent TO app_user;
GRANT SELECT ON agent.checkpoint_migrations TO app_user;
"""
CHECKPOINT_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")

# A conversation's id is its thread's id, so a row is visible if its conversation belongs to the org in scope. The
# conversation is found with its primary key. EXISTS would let PostgreSQL read all conversations of the org instead.
SAME_ORG = """(SELECT c.org_id FROM public.agent_conversation c WHERE c.id = thread_id::uuid)
         = (SELECT public.app_current_org())"""

# A turn gets its transcript when it ends, and loses it when it is tried again. Documents do not change. The functions are
# placeholders until their `.sql` files are installed: below, or by a later migration if a file has changed since.
CREATE_TRIGGERS = """
CREATE OR REPLACE FUNCTION agent_delete_checkpoints() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE OR REPLACE FUNCTION agent_count_transcript() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE OR REPLACE FUNCTION agent_count_document() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER agent_delete_checkpoints AFTER DELETE ON agent_conversation
    FOR EACH ROW EXECUTE FUNCTION agent_delete_checkpoints();
CREATE TRIGGER agent_count_new_transcript AFTER INSERT ON agent_turn FOR EACH ROW
    WHEN (NEW.transcript IS NOT NULL) EXECUTE FUNCTION agent_count_transcript();
CREATE TRIGGER agent_count_transcript AFTER UPDATE OF transcript ON agent_turn FOR EACH ROW
    WHEN (NEW.transcript IS NOT NULL OR OLD.transcript IS NOT NULL) EXECUTE FUNCTION agent_count_transcript();
CREATE TRIGGER agent_count_document AFTER INSERT ON agent_sourcedocument FOR EACH ROW
    EXECUTE FUNCTION agent_count_document();
"""
DROP_TRIGGERS = """
DROP TRIGGER agent_delete_checkpoints ON agent_conversation;
DROP TRIGGER agent_count_new_transcript ON agent_turn;
DROP TRIGGER agent_count_transcript ON agent_turn;
DROP TRIGGER agent_count_document ON agent_sourcedocument;
"""

# Control, format and bidirectional characters, which no name of any script needs.
NOT_IN_NAMES = "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"


def protect_checkpoints(table: str) -> str:
    return f"""
    ALTER TABLE agent.{table} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY org_isolation ON agent.{table} TO app_user USING ({SAME_ORG}) WITH CHECK ({SAME_ORG});
    GRANT SELECT, INSERT, UPDATE, DELETE ON agent.{table} TO app_user;
    """


def plain_name(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(**{f"{field}__regex": NOT_IN_NAMES}), name=name)


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("agent", "0001_initial"),
        ("agent", "0002_walls"),
        ("agent", "0003_checkpoints"),
        ("agent", "0004_unlocked_turns"),
        ("agent", "0005_limits_and_retention"),
        ("agent", "0006_tool_requests"),
        ("agent", "0007_language_models"),
        ("agent", "0008_source_documents"),
        ("agent", "0009_source_documents_walls"),
        ("agent", "0010_failed_approvals"),
        ("agent", "0011_checkpoint_policies"),
        ("agent", "0012_stored_bytes"),
        ("agent", "0013_count_stored_bytes"),
        ("agent", "0014_turn_timezone"),
    ]

    dependencies = [
        ("orgs", "0025_plain_sql_comments"),
        ("procrastinate", "0001_initial"),
        ("runs", "0012_plain_sql_comments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "Conversation",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("graph", models.CharField(choices=[("main", "Main"), ("source_builder", "Source Builder")], default="main", max_length=20)),
                ("title", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("event_sequence", models.BigIntegerField(default=0)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("user", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("stored_bytes", models.BigIntegerField(db_default=0, default=0)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "user", "-updated_at", "-id"], name="agent_conversation_newest"),
                ],
                "constraints": [
                    plain_name("title", name="agent_conversation_title_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Event",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField()),
                ("org_sequence", models.BigIntegerField(null=True)),
                ("kind", models.CharField(max_length=20)),
                ("body", models.JSONField()),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("conversation", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.conversation")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "conversation", "sequence"), name="agent_event_sequence"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Turn",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("running", "Running"), ("waiting", "Waiting"), ("done", "Done"), ("failed", "Failed"), ("stopped", "Stopped"), ("superseded", "Superseded")],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("text", models.TextField()),
                ("page", models.CharField(blank=True, max_length=300)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("first_event", models.BigIntegerField()),
                ("transcript", models.JSONField(null=True)),
                ("lease", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("worker", models.CharField(blank=True, max_length=120)),
                ("attempts", models.PositiveSmallIntegerField(default=0)),
                ("stop_requested_at", models.DateTimeField(null=True)),
                ("model", models.CharField(blank=True, max_length=120)),
                ("prompt", models.CharField(blank=True, max_length=60)),
                ("input_tokens", models.PositiveIntegerField(default=0)),
                ("output_tokens", models.PositiveIntegerField(default=0)),
                ("error_code", models.CharField(blank=True, max_length=40)),
                ("error_message", models.CharField(blank=True, max_length=2000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("conversation", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.conversation")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("timezone", models.CharField(blank=True, db_default="", max_length=60)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(condition=models.Q(("status__in", ["pending", "running"])), fields=["created_at"], name="agent_turn_unfinished"),
                    models.Index(fields=["org", "-created_at"], name="agent_turn_newest"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "conversation", "number"), name="agent_turn_number"),
                    models.UniqueConstraint(condition=models.Q(("status__in", ("pending", "running", "waiting"))), fields=("org", "conversation"), name="agent_turn_one_live"),
                    models.CheckConstraint(condition=models.Q(("status__in", ["pending", "running", "waiting", "done", "failed", "stopped", "superseded"])), name="agent_turn_status"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Call",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("task_id", models.CharField(max_length=60)),
                ("tool_call_id", models.CharField(max_length=200)),
                ("tool", models.CharField(max_length=64)),
                ("state", models.CharField(choices=[("begun", "Begun"), ("finished", "Finished")], max_length=10)),
                ("ok", models.BooleanField(null=True)),
                ("answer", models.TextField(blank=True)),
                ("began_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("conversation", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.conversation")),
                ("turn", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.turn")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "conversation", "task_id"), name="agent_call_task"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Approval",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("approval", "Approval"), ("question", "Question")], max_length=10)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("approved", "Approved"),
                            ("answered", "Answered"),
                            ("rejected", "Rejected"),
                            ("used", "Used"),
                            ("failed", "Failed"),
                            ("expired", "Expired"),
                            ("stopped", "Stopped"),
                            ("superseded", "Superseded"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("task_id", models.CharField(max_length=60)),
                ("tool_call_id", models.CharField(max_length=200)),
                ("tool", models.CharField(max_length=64)),
                ("arguments", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("card", models.JSONField()),
                ("edited", models.BooleanField(default=False)),
                ("reason", models.CharField(blank=True, max_length=1000)),
                ("answer", models.JSONField(null=True)),
                ("decided_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("decided_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("conversation", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.conversation")),
                ("turn", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.turn")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(condition=models.Q(("state", "open")), fields=["expires_at"], name="agent_approval_open"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "conversation", "task_id"), name="agent_approval_task"),
                    plain_name("reason", name="agent_approval_reason_plain"),
                    models.CheckConstraint(condition=models.Q(("state__in", ["open", "approved", "answered", "rejected", "used", "failed", "expired", "stopped", "superseded"])), name="agent_approval_state"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "ToolRequest",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("tool", models.CharField(max_length=64)),
                ("arguments", models.JSONField()),
                ("digest", models.CharField(max_length=64)),
                ("card", models.JSONField()),
                ("state", models.CharField(choices=[("open", "Open"), ("approved", "Approved"), ("rejected", "Rejected"), ("begun", "Begun"), ("done", "Done"), ("expired", "Expired")], default="open", max_length=10)),
                ("reason", models.CharField(blank=True, max_length=1000)),
                ("decided_at", models.DateTimeField(null=True)),
                ("began_at", models.DateTimeField(null=True)),
                ("ok", models.BooleanField(null=True)),
                ("summary", models.CharField(blank=True, max_length=1000)),
                ("answer", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("decided_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("key", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="orgs.apikey")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "created_at"], name="agent_toolrequest_oldest"),
                ],
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("state__in", ["open", "approved"])), fields=("org", "key", "digest"), name="agent_toolrequest_one_open"),
                    models.CheckConstraint(condition=models.Q(("state__in", ["open", "approved", "rejected", "begun", "done", "expired"])), name="agent_toolrequest_state"),
                    plain_name("reason", name="agent_toolrequest_reason_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "ModelSettings",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("provider", models.CharField(choices=[("openai", "Openai"), ("anthropic", "Anthropic"), ("google", "Google"), ("openai_compatible", "Openai Compatible")], max_length=20)),
                ("model", models.CharField(max_length=120)),
                ("sealed", models.TextField(blank=True)),
                ("key_last4", models.CharField(blank=True, max_length=4)),
                ("base_url", models.CharField(blank=True, max_length=500)),
                ("temperature", models.FloatField(null=True)),
                ("monthly_tokens", models.BigIntegerField(null=True)),
                ("values_allowed", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org",), name="agent_modelsettings_once"),
                    models.CheckConstraint(condition=models.Q(("provider__in", ["openai", "anthropic", "google", "openai_compatible"])), name="agent_modelsettings_provider"),
                    models.CheckConstraint(condition=models.Q(("monthly_tokens__isnull", True), ("monthly_tokens__gt", 0), _connector="OR"), name="agent_modelsettings_tokens"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "ModelUsage",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("month", models.DateField()),
                ("input_tokens", models.BigIntegerField(default=0)),
                ("output_tokens", models.BigIntegerField(default=0)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "month"), name="agent_modelusage_month"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "SourceDocument",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("url", models.CharField(blank=True, max_length=1000)),
                ("kind", models.CharField(choices=[("openapi", "Openapi"), ("swagger", "Swagger"), ("postman", "Postman"), ("text", "Text"), ("plan", "Plan")], max_length=10)),
                ("text", models.TextField()),
                ("truncated", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("conversation", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.conversation")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "conversation", "-created_at"], name="agent_document_newest"),
                ],
                "constraints": [
                    plain_name("name", name="agent_sourcedocument_name_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "SourceSettings",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("sealed", models.TextField()),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("conversation", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="agent.conversation")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "conversation"), name="agent_sourcesettings_conversation"),
                ],
            },
            managers=MANAGERS,
        ),
        *(rls.protect(table) for table in (CONVERSATION, TURN, *PARTS)),
        rls.protect("agent_toolrequest"),
        rls.protect("agent_modelsettings"),
        rls.protect("agent_modelusage"),
        rls.same_org(TURN, "conversation_id", CONVERSATION, on_delete="CASCADE"),
        *(rls.same_org(table, "conversation_id", CONVERSATION, on_delete="CASCADE") for table in PARTS),
        rls.same_org("agent_call", "turn_id", TURN, on_delete="CASCADE"),
        rls.same_org("agent_approval", "turn_id", TURN, on_delete="CASCADE"),
        rls.same_org("agent_toolrequest", "key_id", "orgs_apikey", on_delete="CASCADE"),
        migrations.RunSQL(CHECKPOINTS + "".join(map(protect_checkpoints, CHECKPOINT_TABLES)), "DROP SCHEMA agent CASCADE;"),
        migrations.RunSQL(CREATE_TRIGGERS, DROP_TRIGGERS),
        InstallFunctions(
            {
                "agent/conversations/counting.sql": "db0889cbdcab",
                "agent/conversations/retention.sql": "f2b330aac1c4",
                "agent/turns/checkpoints.sql": "b592b1ea7f69",
                "agent/turns/reconciler.sql": "674ad9745f2d",
            }
        ),
    ]
