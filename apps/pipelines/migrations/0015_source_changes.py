import apps.auth.models
import django.db.models.deletion
import django.db.models.manager
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orgs', '0025_plain_sql_comments'),
        ('pipelines', '0014_matched_streams'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='SourceChange',
            fields=[
                ('id', models.UUIDField(default=apps.auth.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('run_id', models.UUIDField()),
                ('stream', models.CharField(max_length=200)),
                ('kind', models.CharField(choices=[('column_added', 'Column Added'), ('column_removed', 'Column Removed'), ('type_changed', 'Type Changed'), ('key_changed', 'Key Changed'), ('stream_missing', 'Stream Missing')], max_length=20)),
                ('column', models.CharField(blank=True, max_length=200)),
                ('before', models.CharField(blank=True, max_length=500)),
                ('after', models.CharField(blank=True, max_length=500)),
                ('decision', models.CharField(blank=True, choices=[('accept', 'Accept'), ('ignore', 'Ignore'), ('pause', 'Pause')], max_length=10)),
                ('decided_at', models.DateTimeField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('org', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='orgs.org')),
                ('pipeline', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='pipelines.pipeline')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unscoped',
                'indexes': [models.Index(fields=['org', 'pipeline', '-created_at', '-id'], name='pipelines_source_changes')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unscoped', django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name='SourceStream',
            fields=[
                ('id', models.UUIDField(default=apps.auth.models.new_id, editable=False, primary_key=True, serialize=False)),
                ('stream', models.CharField(max_length=200)),
                ('columns', models.JSONField(default=dict)),
                ('key', models.JSONField(null=True)),
                ('missing', models.BooleanField(default=False)),
                ('run_id', models.UUIDField()),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('org', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='orgs.org')),
                ('pipeline', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='pipelines.pipeline')),
            ],
            options={
                'abstract': False,
                'base_manager_name': 'unscoped',
                'constraints': [models.UniqueConstraint(fields=('org', 'pipeline', 'stream'), name='pipelines_source_stream')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('unscoped', django.db.models.manager.Manager()),
            ],
        ),
    ]
