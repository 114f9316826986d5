"""Maintenance of tables and indexes that staff ask for."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0014_whatsapp_label'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='MaintenanceRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('analyze', 'ANALYZE'), ('vacuum', 'VACUUM'), ('vacuum_analyze', 'VACUUM ANALYZE'), ('reindex_index', 'REINDEX INDEX CONCURRENTLY'), ('reindex_table', 'REINDEX TABLE CONCURRENTLY'), ('exact_bloat', 'Exact bloat')], max_length=14)),
                ('target', models.CharField(max_length=63)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], db_default='queued', default='queued', max_length=9)),
                ('progress', models.SmallIntegerField(db_default=0, default=0)),
                ('phase', models.CharField(blank=True, db_default='', default='', max_length=60)),
                ('log', models.TextField(blank=True, db_default='', default='')),
                ('error', models.CharField(blank=True, db_default='', default='', max_length=2000)),
                ('result', models.JSONField(blank=True, null=True)),
                ('job_id', models.BigIntegerField(blank=True, null=True)),
                ('pid', models.IntegerField(blank=True, null=True)),
                ('backend_start', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('requested_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'maintenance_runs',
                'indexes': [models.Index(condition=models.Q(('kind', 'exact_bloat'), ('state', 'done')), fields=['target', '-id'], name='maintenance_bloat_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['analyze', 'vacuum', 'vacuum_analyze', 'reindex_index', 'reindex_table', 'exact_bloat'])), name='maintenance_kind_known'), models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'done', 'failed', 'cancelled'])), name='maintenance_state_known'), models.CheckConstraint(condition=models.Q(('progress__range', (0, 100))), name='maintenance_progress'), models.CheckConstraint(condition=models.Q(('state__in', ('queued', 'running')), ('finished_at__isnull', False), _connector='OR'), name='maintenance_end_has_time'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'failed'), _negated=True), models.Q(('error', ''), _negated=True), _connector='OR'), name='maintenance_failed_says_why'), models.UniqueConstraint(condition=models.Q(('state__in', ('queued', 'running'))), fields=('target',), name='maintenance_open_once')],
            },
        ),
    ]
