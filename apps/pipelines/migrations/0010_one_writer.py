from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0009_targets")]

    operations = [
        migrations.AddIndex(
            "pipeline",
            models.Index(
                condition=~models.Q(target=""), fields=["org", "target"], name="pipelines_targets"
            ),
        ),
        migrations.AddConstraint(
            "pipeline",
            models.UniqueConstraint(
                condition=models.Q(owns_target=True) & ~models.Q(target=""),
                fields=["org", "target"],
                name="pipelines_pipeline_target",
            ),
        ),
    ]
