import django.db.models.deletion
from django.db import migrations, models

from apps.orgs.walls.sql_functions import InstallFunctions

# Events that were stored before are about a pipeline, or are tests.
ADD_SUBJECTS = """
UPDATE alerts_delivery SET payload = payload || jsonb_build_object('subject',
    CASE WHEN jsonb_typeof(payload->'pipeline') = 'object' THEN payload->'pipeline' || '{"kind": "pipeline"}' END)
WHERE NOT payload ? 'subject'
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0010_snoozes_and_quiet_hours"),
        ("orgs", "0025_plain_sql_comments"),
        ("pipelines", "0025_hooks_walls"),
    ]

    operations = [
        migrations.AddField(
            model_name="alert",
            name="subject_key",
            field=models.CharField(blank=True, db_default="", default="", max_length=60),
        ),
        migrations.AddField(
            model_name="alert",
            name="subject_kind",
            field=models.CharField(
                choices=[
                    ("pipeline", "Pipeline"),
                    ("limit", "Limit"),
                    ("api_key", "Api Key"),
                    ("connector", "Connector"),
                ],
                db_default="pipeline",
                default="pipeline",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="alert",
            name="pipeline",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="pipelines.pipeline",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("closed_at", None), ("pipeline", None)),
                fields=("rule", "subject_kind", "subject_key"),
                name="alerts_alert_one_open_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("pipeline__isnull", False), ("subject_key", ""), ("subject_kind", "pipeline")
                )
                | models.Q(
                    ("pipeline", None),
                    models.Q(("subject_kind", "pipeline"), _negated=True),
                    models.Q(("subject_key", ""), _negated=True),
                ),
                name="alerts_alert_subject",
            ),
        ),
        migrations.RunSQL(ADD_SUBJECTS, migrations.RunSQL.noop),
        InstallFunctions({"alerts/alerts.sql": "56cc55aded22"}),
    ]
