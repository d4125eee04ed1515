import apps.auth.models
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("alerts", "0012_rules_of_orgs"),
    ]

    operations = [
        migrations.CreateModel(
            name='OperatorMessage',
            fields=[
                ('id', models.UUIDField(default=apps.auth.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('route', models.CharField(choices=[('email', 'e-mail'), ('webhook', 'Webhook')], max_length=10)),
                ('payload', models.JSONField()),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('sent', 'Sent'), ('failed', 'Failed'), ('snoozed', 'Snoozed'), ('skipped', 'Skipped')], default='pending', max_length=10)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('next_attempt_at', models.DateTimeField()),
                ('problem', models.CharField(blank=True, max_length=300)),
                ('created_at', models.DateTimeField()),
                ('sent_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='InstallationProblem',
            fields=[
                ('id', models.UUIDField(default=apps.auth.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('part', models.CharField(max_length=40)),
                ('place', models.CharField(blank=True, max_length=100)),
                ('seen', models.CharField(max_length=300)),
                ('next_step', models.CharField(blank=True, max_length=500)),
                ('began_at', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('told_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('part', 'place'), name='alerts_problem_once')],
            },
        ),
    ]
