from django.conf import settings
from django.db import migrations, models

# Functions for workers that read the rows of all orgs and return only ids, as in 0003, and functions that delete a
# limited number of old rows.
FUNCTIONS = """
-- Ended runs whose log, or whose row, is older than the org keeps it.
CREATE FUNCTION runs_logs_due(most integer) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id, due.id FROM orgs_org o CROSS JOIN LATERAL (
        SELECT r.id FROM runs_run r WHERE r.org_id = o.id AND r.log_lines > r.log_removed
        AND r.finished_at < now() - make_interval(days => least(o.keep_logs_days, o.keep_runs_days))
        AND r.status NOT IN ('pending', 'running')
        ORDER BY r.finished_at LIMIT most) due
    WHERE o.keep_logs_days IS NOT NULL OR o.keep_runs_days IS NOT NULL
    LIMIT most
$$;
CREATE FUNCTION runs_logs_going(most integer) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id FROM runs_run r WHERE r.log_removal_at IS NOT NULL
    ORDER BY r.log_removal_at LIMIT most
$$;

-- Without a log and without files that are still there; each pipeline's newest run stays.
CREATE FUNCTION runs_due(most integer) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id, due.id FROM orgs_org o CROSS JOIN LATERAL (
        SELECT r.id FROM runs_run r WHERE r.org_id = o.id
        AND r.created_at < now() - make_interval(days => o.keep_runs_days)
        AND r.finished_at < now() - make_interval(days => o.keep_runs_days)
        AND r.status NOT IN ('pending', 'running')
        AND r.log_lines <= r.log_removed AND r.log_removal_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM runs_output f WHERE f.org_id = o.id AND f.run_id = r.id)
        AND EXISTS (SELECT 1 FROM runs_run n WHERE n.org_id = o.id AND n.pipeline_id = r.pipeline_id
                    AND (n.created_at, n.id) > (r.created_at, r.id))
        ORDER BY r.created_at LIMIT most) due
    WHERE o.keep_runs_days IS NOT NULL
    LIMIT most
$$;

-- What a run's own stream said is in its row and its log too; what the org's stream said is kept as the org wants.
CREATE OR REPLACE FUNCTION runs_remove_old_events(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (SELECT e.id FROM runs_event e JOIN runs_run r ON r.id = e.run_id
                 WHERE e.at < before AND e.kind <> 'run' AND r.status NOT IN ('pending', 'running') LIMIT most),
         gone AS (DELETE FROM runs_event e USING old WHERE e.id = old.id RETURNING 1)
    SELECT count(*) FROM gone
$$;
CREATE FUNCTION runs_remove_org_events(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT due.id FROM orgs_org o CROSS JOIN LATERAL (
            SELECT e.id FROM runs_event e JOIN runs_run r ON r.id = e.run_id
            WHERE e.org_id = o.id AND e.kind = 'run'
            AND e.at < now() - make_interval(days => o.keep_events_days)
            AND r.status NOT IN ('pending', 'running') LIMIT most) due
        WHERE o.keep_events_days IS NOT NULL LIMIT most),
    gone AS (DELETE FROM runs_event e USING old WHERE e.id = old.id RETURNING 1)
    SELECT count(*) FROM gone
$$;
"""
DROP = """
DROP FUNCTION runs_remove_org_events(integer); DROP FUNCTION runs_due(integer);
DROP FUNCTION runs_logs_going(integer); DROP FUNCTION runs_logs_due(integer);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orgs', '0017_retention'),
        ('pipelines', '0005_plain_names'),
        ('runs', '0007_passed_over'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='event',
            name='runs_event_age',
        ),
        migrations.AddField(
            model_name='run',
            name='log_removal_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='run',
            name='log_removed',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('kind', 'run'), _negated=True), fields=['at'], name='runs_event_details'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('kind', 'run')), fields=['org', 'at'], name='runs_event_of_org'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('log_lines__gt', models.F('log_removed'))), fields=['org', 'finished_at'], name='runs_with_log'),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('log_removal_at__isnull', False)), fields=['log_removal_at'], name='runs_log_removal'),
        ),
        migrations.RunSQL(FUNCTIONS, DROP),
    ]
