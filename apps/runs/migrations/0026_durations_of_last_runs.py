from django.db import migrations

COPY_DURATIONS = """
UPDATE pipelines_pipeline p SET last_run_seconds = EXTRACT(epoch FROM r.finished_at - r.started_at)
FROM runs_run r WHERE r.id = p.last_run_id AND r.org_id = p.org_id AND r.started_at <= r.finished_at
"""


class Migration(migrations.Migration):
    dependencies = [("runs", "0025_runs_finished"), ("pipelines", "0021_duration_of_last_run")]

    operations = [migrations.RunSQL(COPY_DURATIONS, migrations.RunSQL.noop)]
