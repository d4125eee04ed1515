from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

CHANNEL, RULE, ALERT = "alerts_channel", "alerts_rule", "alerts_alert"
RULE_CHANNEL, DELIVERY = "alerts_rulechannel", "alerts_delivery"
PIPELINE = "pipelines_pipeline"


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]

    operations = [
        *(rls.protect(table) for table in (CHANNEL, RULE, RULE_CHANNEL, ALERT, DELIVERY)),
        rls.same_org(RULE, "domain_id", "orgs_domain", on_delete="CASCADE"),
        rls.same_org(RULE, "pipeline_id", PIPELINE, on_delete="CASCADE"),
        rls.same_org(RULE_CHANNEL, "rule_id", RULE, on_delete="CASCADE"),
        rls.same_org(RULE_CHANNEL, "channel_id", CHANNEL, on_delete="CASCADE"),
        rls.same_org(ALERT, "rule_id", RULE, on_delete="CASCADE"),
        rls.same_org(ALERT, "pipeline_id", PIPELINE, on_delete="CASCADE"),
        rls.same_org(DELIVERY, "channel_id", CHANNEL, on_delete="CASCADE"),
        rls.same_org(DELIVERY, "alert_id", ALERT, on_delete="SET NULL (alert_id)"),
        rls.same_org(DELIVERY, "pipeline_id", PIPELINE, on_delete="SET NULL (pipeline_id)"),
        InstallFunctions({"alerts/alerts.sql": "b342b24b6299"}),
    ]
