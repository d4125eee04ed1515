from django.db import migrations, models

# Deletes audit events that are older than the retention of their org, and at least a year old. Each call deletes at
# most `most` events, and records the number of deleted events as a new event.
PRUNE = """
CREATE FUNCTION orgs_prune_audit(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    due record;
    gone bigint;
    total bigint := 0;
BEGIN
    FOR due IN
        SELECT o.id, old.before FROM orgs_org o,
            LATERAL (SELECT now() - make_interval(days => greatest(o.keep_audit_days, 365)) AS before) old
        WHERE o.keep_audit_days IS NOT NULL
          AND EXISTS (SELECT 1 FROM orgs_auditevent a WHERE a.org_id = o.id AND a.at < old.before)
    LOOP
        EXIT WHEN total >= most;
        DELETE FROM orgs_auditevent WHERE id IN (
            SELECT a.id FROM orgs_auditevent a WHERE a.org_id = due.id AND a.at < due.before
            ORDER BY a.at LIMIT most - total);
        GET DIAGNOSTICS gone = ROW_COUNT;
        total := total + gone;
        IF gone > 0 THEN
            INSERT INTO orgs_auditevent
                (id, org_id, at, actor_kind, actor_label, action, object_kind, object_id, object_label, changes)
            VALUES (gen_random_uuid(), due.id, now(), 'system', 'Drover', 'audit.prune', 'organization', due.id, '',
                    jsonb_build_object('removed', jsonb_build_array(NULL, gone),
                                       'before', jsonb_build_array(NULL, due.before)));
        END IF;
    END LOOP;
    RETURN total;
END $$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orgs', '0016_key_use'),
    ]

    operations = [
        migrations.AddField(
            model_name='org',
            name='keep_audit_days',
            field=models.PositiveIntegerField(blank=True, default=365, null=True),
        ),
        migrations.AddField(
            model_name='org',
            name='keep_events_days',
            field=models.PositiveIntegerField(blank=True, default=90, null=True),
        ),
        migrations.AddField(
            model_name='org',
            name='keep_logs_days',
            field=models.PositiveIntegerField(blank=True, default=90, null=True),
        ),
        migrations.AddField(
            model_name='org',
            name='keep_runs_days',
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddConstraint(
            model_name='org',
            constraint=models.CheckConstraint(condition=models.Q(('keep_audit_days__gte', 365), ('keep_audit_days', None), _connector='OR'), name='orgs_org_keeps_audit_a_year'),
        ),
        migrations.RunSQL(PRUNE, "DROP FUNCTION orgs_prune_audit(integer);"),
    ]
