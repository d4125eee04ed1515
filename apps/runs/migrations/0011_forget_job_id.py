"""The application no longer uses `runs_run.job_id`. Its column stays while the release before may still run,
which writes it with each new run; drop it in the next release."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("runs", "0010_sql_functions")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("run", "job_id")],
        ),
    ]
