"""Remove `runs_run.job_id` from the model, but not from the database.

During an upgrade the previous release may still be running, and it writes this column. Drop the column in the next
release.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("runs", "0010_sql_functions")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveField("run", "job_id")],
        ),
    ]
