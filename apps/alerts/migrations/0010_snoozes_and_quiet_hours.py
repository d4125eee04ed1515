import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
from django.db import migrations, models

import apps.auth.models
from apps.auth import names
from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

SNOOZE = "alerts_snooze"
KINDS = [
    ("opened", "Opened"),
    ("still_open", "Still Open"),
    ("closed", "Closed"),
    ("test", "Test"),
]
STATES = [
    ("pending", "Pending"),
    ("sent", "Sent"),
    ("failed", "Failed"),
    ("snoozed", "Snoozed"),
    ("skipped", "Skipped"),
]


def reference(model: str) -> models.ForeignKey:
    return models.ForeignKey(
        db_constraint=False,
        null=True,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to=model,
    )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0009_more_channels"), ("orgs", "0025_plain_sql_comments")]

    operations = [
        migrations.AddField(
            model_name="channel",
            name="timing",
            field=models.JSONField(db_default={}, default=dict),
        ),
        migrations.AddField(
            model_name="channel", name="held_until", field=models.DateTimeField(null=True)
        ),
        migrations.AddField(
            model_name="rule",
            name="urgent",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="delivery",
            name="urgent",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RemoveConstraint(model_name="delivery", name="alerts_delivery_kind"),
        migrations.AlterField(
            model_name="delivery", name="kind", field=models.CharField(choices=KINDS, max_length=10)
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(kind__in=[kind for kind, _ in KINDS]),
                name="alerts_delivery_kind",
            ),
        ),
        migrations.RemoveConstraint(model_name="delivery", name="alerts_delivery_state"),
        migrations.AlterField(
            model_name="delivery",
            name="state",
            field=models.CharField(choices=STATES, default="pending", max_length=10),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(state__in=[state for state, _ in STATES]),
                name="alerts_delivery_state",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(state="snoozed"), fields=["alert"], name="alerts_delivery_snoozed"
            ),
        ),
        migrations.CreateModel(
            name="Snooze",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=apps.auth.models.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("until", models.DateTimeField()),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("by", models.CharField(max_length=254)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("alert", reference("alerts.alert")),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                    ),
                ),
                ("rule", reference("alerts.rule")),
            ],
            options={
                "abstract": False,
                "base_manager_name": "unscoped",
                "constraints": [
                    models.UniqueConstraint(fields=("rule",), name="alerts_snooze_one_of_rule"),
                    models.UniqueConstraint(fields=("alert",), name="alerts_snooze_one_of_alert"),
                    models.CheckConstraint(
                        condition=models.Q(rule=None, alert__isnull=False)
                        | models.Q(rule__isnull=False, alert=None),
                        name="alerts_snooze_object",
                    ),
                    names.plain_text_check("reason", name="alerts_snooze_reason_plain"),
                ],
            },
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        rls.protect(SNOOZE),
        rls.same_org(SNOOZE, "rule_id", "alerts_rule", on_delete="CASCADE"),
        rls.same_org(SNOOZE, "alert_id", "alerts_alert", on_delete="CASCADE"),
        InstallFunctions({"alerts/alerts.sql": "9a84cfe1d129"}),
    ]
