"""Backups that were made, and what their drills said."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0016_alert_rules'),
    ]

    operations = [
        migrations.CreateModel(
            name='Backup',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=40, unique=True)),
                ('state', models.CharField(choices=[('running', 'Running'), ('done', 'Done'), ('failed', 'Failed')], db_default='running', default='running', max_length=7)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('snapshot_at', models.DateTimeField(blank=True, null=True)),
                ('size', models.BigIntegerField(blank=True, null=True)),
                ('sha256', models.CharField(blank=True, db_default='', default='', max_length=64)),
                ('database_size', models.BigIntegerField(blank=True, null=True)),
                ('row_count', models.BigIntegerField(blank=True, null=True)),
                ('is_encrypted', models.BooleanField(db_default=False, default=False)),
                ('host', models.CharField(blank=True, db_default='', default='', max_length=255)),
                ('directory', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('error', models.CharField(blank=True, db_default='', default='', max_length=2000)),
                ('uploaded_at', models.DateTimeField(blank=True, null=True)),
                ('upload_error', models.CharField(blank=True, db_default='', default='', max_length=2000)),
                ('drill_result', models.CharField(blank=True, choices=[('', 'None yet'), ('passed', 'Passed'), ('failed', 'Failed')], db_default='', default='', max_length=6)),
                ('drilled_at', models.DateTimeField(blank=True, null=True)),
                ('drill_seconds', models.FloatField(blank=True, null=True)),
                ('drill_error', models.CharField(blank=True, db_default='', default='', max_length=2000)),
                ('verified_at', models.DateTimeField(blank=True, null=True)),
                ('removed_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'db_table': 'backups',
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['running', 'done', 'failed'])), name='backup_state_known'), models.CheckConstraint(condition=models.Q(('drill_result__in', ['', 'passed', 'failed'])), name='backup_drill_known'), models.CheckConstraint(condition=models.Q(('state', 'running'), ('finished_at__isnull', False), _connector='OR'), name='backup_end_has_time'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'done'), _negated=True), models.Q(('size__isnull', False), models.Q(('sha256', ''), _negated=True)), _connector='OR'), name='backup_done_has_file'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), _negated=True), models.Q(('error', ''), _negated=True), _connector='OR'), name='backup_failed_says_why')],
            },
        ),
    ]
