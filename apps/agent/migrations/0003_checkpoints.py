from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions

# The tables of langgraph-checkpoint-postgres, in a schema of their own. A test compares them with those that its own
# `setup` creates. It is not called here, because importing it would cost every first start a second.
TABLES = """
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

# A conversation's id is its thread's id, so a row is visible if its conversation belongs to the org in scope.
PROTECT = """
ALTER TABLE agent.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY org_isolation ON agent.{table} TO app_user
    USING (EXISTS (SELECT 1 FROM public.agent_conversation c
                   WHERE c.id::text = thread_id AND c.org_id = (SELECT public.app_current_org())))
    WITH CHECK (EXISTS (SELECT 1 FROM public.agent_conversation c
                        WHERE c.id::text = thread_id AND c.org_id = (SELECT public.app_current_org())));
GRANT SELECT, INSERT, UPDATE, DELETE ON agent.{table} TO app_user;
"""

DELETE_WITH_CONVERSATION = """
CREATE TRIGGER agent_delete_checkpoints AFTER DELETE ON agent_conversation
    FOR EACH ROW EXECUTE FUNCTION agent_delete_checkpoints();
"""


class Migration(migrations.Migration):
    dependencies = [("agent", "0002_walls")]

    operations = [
        migrations.RunSQL(
            TABLES
            + "".join(
                PROTECT.format(table=table)
                for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
            ),
            "DROP SCHEMA agent CASCADE;",
        ),
        InstallFunctions({"agent/turns/checkpoints.sql": "b592b1ea7f69"}),
        migrations.RunSQL(
            DELETE_WITH_CONVERSATION,
            "DROP TRIGGER agent_delete_checkpoints ON agent_conversation;",
        ),
    ]
