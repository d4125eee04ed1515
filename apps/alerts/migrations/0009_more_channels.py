from django.db import migrations, models

KINDS = [
    ("email", "Email"),
    ("slack", "Slack"),
    ("teams", "Teams"),
    ("pagerduty", "Pagerduty"),
    ("opsgenie", "Opsgenie"),
    ("webhook", "Webhook"),
]


class Migration(migrations.Migration):
    dependencies = [("alerts", "0008_freshness_pages_walls")]

    operations = [
        migrations.RemoveConstraint(model_name="channel", name="alerts_channel_kind"),
        migrations.AlterField(
            model_name="channel", name="kind", field=models.CharField(choices=KINDS, max_length=10)
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(kind__in=[kind for kind, _ in KINDS]), name="alerts_channel_kind"
            ),
        ),
    ]
