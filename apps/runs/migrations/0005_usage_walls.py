from django.db import migrations

from apps.orgs.walls import rls

# The trigger adds the increase of a run's counters to its org's month. It runs as the caller, in the org's scope.
USAGE = """
CREATE FUNCTION runs_count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    more_rows bigint := greatest(NEW.records_written - OLD.records_written, 0);
    more_bytes bigint := greatest(NEW.bytes - OLD.bytes, 0);
    one_more integer := (NEW.status IN ('succeeded', 'failed', 'cancelled')
                         AND OLD.status IN ('pending', 'running'))::integer;
BEGIN
    IF more_rows > 0 OR more_bytes > 0 OR one_more > 0 THEN
        INSERT INTO runs_usage (id, org_id, month, rows, bytes, runs)
        VALUES (gen_random_uuid(), NEW.org_id, date_trunc('month', now() AT TIME ZONE 'UTC')::date,
                more_rows, more_bytes, one_more)
        ON CONFLICT (org_id, month) DO UPDATE SET
            rows = runs_usage.rows + excluded.rows,
            bytes = runs_usage.bytes + excluded.bytes,
            runs = runs_usage.runs + excluded.runs;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER runs_usage AFTER UPDATE OF records_written, bytes, status ON runs_run
    FOR EACH ROW EXECUTE FUNCTION runs_count_usage();
"""

# Functions for workers that read the rows of all orgs and return only ids, as in 0003. They skip closed orgs.
CLOSED = """
CREATE OR REPLACE FUNCTION runs_lines() RETURNS TABLE (org_id uuid, run_id uuid, due bigint, free bigint, turn timestamptz, since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH RECURSIVE waiting(org) AS (
        (SELECT r.org_id FROM runs_run r WHERE r.status = 'pending' ORDER BY r.org_id LIMIT 1)
        UNION ALL
        SELECT (SELECT r.org_id FROM runs_run r WHERE r.status = 'pending' AND r.org_id > w.org
                ORDER BY r.org_id LIMIT 1)
        FROM waiting w WHERE w.org IS NOT NULL
    ), room AS (
        SELECT o.id AS org, o.max_running - (SELECT count(*) FROM runs_run r
            WHERE r.org_id = o.id AND r.status = 'running') AS free
        FROM waiting w JOIN orgs_org o ON o.id = w.org
        WHERE o.suspended_at IS NULL AND o.deletion_at IS NULL
    )
    SELECT room.org, head.id,
        (SELECT count(*) FROM (SELECT 1 FROM runs_run r WHERE r.org_id = room.org AND r.status = 'pending'
            AND (r.not_before IS NULL OR r.not_before <= now()) LIMIT greatest(room.free, 0)) few),
        room.free,
        (SELECT max(r.claimed_at) FROM runs_run r WHERE r.org_id = room.org),
        head.created_at
    FROM room CROSS JOIN LATERAL (
        SELECT r.id, r.created_at FROM runs_run r
        WHERE r.org_id = room.org AND r.status = 'pending' AND (r.not_before IS NULL OR r.not_before <= now())
        ORDER BY r.created_at, r.id LIMIT 1) head
    WHERE room.free > 0
$$;
CREATE FUNCTION orgs_closed_with_runs() RETURNS TABLE (org_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT o.id FROM orgs_org o JOIN runs_run r ON r.org_id = o.id
    WHERE (o.suspended_at IS NOT NULL OR o.deletion_at IS NOT NULL)
      AND r.status IN ('pending', 'running') AND r.cancel_requested_at IS NULL
$$;
CREATE FUNCTION orgs_to_erase() RETURNS TABLE (org_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id FROM orgs_org o WHERE o.deletion_at <= now()
$$;

-- Every row with this org, then the org. The trail goes too, which nothing else can remove. Only when it is due.
CREATE FUNCTION erase_org(wanted uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE owned text;
BEGIN
    PERFORM 1 FROM orgs_org o WHERE o.id = wanted AND o.deletion_at <= now() FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this organization is not due to be erased';
    END IF;
    SET CONSTRAINTS ALL DEFERRED;
    DELETE FROM identity_user u USING orgs_membership m
        WHERE m.org_id = wanted AND u.id = m.user_id AND u.kind = 'service'
        AND NOT EXISTS (SELECT 1 FROM orgs_membership o WHERE o.user_id = u.id AND o.org_id <> wanted);
    FOR owned IN
        SELECT c.table_name FROM information_schema.columns c
        JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE c.table_schema = 'public' AND c.column_name = 'org_id' AND t.table_type = 'BASE TABLE'
    LOOP
        EXECUTE format('DELETE FROM %I WHERE org_id = $1', owned) USING wanted;
    END LOOP;
    DELETE FROM orgs_org WHERE id = wanted;
END $$;
"""
DROP = """
DROP FUNCTION erase_org(uuid); DROP FUNCTION orgs_to_erase(); DROP FUNCTION orgs_closed_with_runs();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0004_usage"),
        ("orgs", "0007_providers_walls"),
        ("identity", "0003_challenge"),
    ]

    operations = [
        rls.protect("runs_usage"),
        migrations.RunSQL(
            USAGE, "DROP TRIGGER runs_usage ON runs_run; DROP FUNCTION runs_count_usage();"
        ),
        migrations.RunSQL(CLOSED, DROP),
    ]
