from django.db import migrations, models

COPY = """
UPDATE alerts_rule SET settings = jsonb_build_object('threshold', threshold) WHERE kind = 'failed_in_a_row'
"""


class Migration(migrations.Migration):
    dependencies = [("alerts", "0004_undecided_runs")]

    operations = [
        migrations.AddField(
            model_name="rule",
            name="settings",
            field=models.JSONField(default=dict, db_default={}),
        ),
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="rule", name="alerts_rule_threshold"),
        migrations.RemoveField(model_name="rule", name="threshold"),
        migrations.AlterField(
            model_name="rule", name="kind", field=models.CharField(max_length=20)
        ),
    ]
