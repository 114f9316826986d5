"""Rules that raise alerts, and the messages sent about alerts."""

import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('khaacho', '0012_whatsapp_label'),
        ('monitoring', '0015_maintenance'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AlertNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(max_length=130)),
                ('channel', models.CharField(choices=[('webhook', 'Webhook'), ('email', 'E-mail')], max_length=8)),
                ('severity', models.CharField(choices=[('info', 'Info'), ('warning', 'Warning'), ('critical', 'Critical')], max_length=8)),
                ('occurrences', models.IntegerField()),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('sent', 'Sent'), ('dropped', 'Dropped')], db_default='queued', default='queued', max_length=8)),
                ('error', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='khaacho.alert')),
            ],
            options={
                'db_table': 'alert_notices',
                'indexes': [models.Index(fields=['subject', 'channel', '-created_at'], name='alert_notice_subject_idx')],
                'constraints': [models.CheckConstraint(condition=models.Q(('channel__in', ['webhook', 'email'])), name='alert_notice_channel_known'), models.CheckConstraint(condition=models.Q(models.Q(('sent_at__isnull', False), ('state', 'sent')), models.Q(('sent_at__isnull', True), ('state__in', ['queued', 'dropped'])), _connector='OR'), name='alert_notice_sent_has_time')],
            },
        ),
        migrations.CreateModel(
            name='AlertRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('measure', models.CharField(choices=[('requests_failed', 'Requests that failed, %'), ('request_p95', '95 % of requests within, ms'), ('jobs_failed', 'Jobs that failed in the last hour, %'), ('queue_waiting', 'Jobs that wait'), ('queue_oldest', 'Oldest waiting job, s'), ('jobs_dead', 'Dead jobs'), ('statement_slower', 'Statement slower since the release, times'), ('replication_lag', 'Replica behind, s'), ('disk_used', 'Disk used, %'), ('ids_used', 'Transaction ids used, %'), ('connections_used', 'Connections used, %'), ('blocked', 'Session waits for a lock, s')], max_length=24)),
                ('severity', models.CharField(choices=[('info', 'Info'), ('warning', 'Warning'), ('critical', 'Critical')], max_length=8)),
                ('threshold', models.FloatField(validators=[django.core.validators.MinValueValidator(0)])),
                ('cool_down_minutes', models.IntegerField(db_default=60, default=60)),
                ('is_enabled', models.BooleanField(db_default=True, default=True)),
                ('changed_at', models.DateTimeField(blank=True, null=True)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('last_value', models.FloatField(blank=True, null=True)),
                ('last_error', models.CharField(blank=True, db_default='', default='', max_length=500)),
                ('changed_by', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'alert_rules',
                'constraints': [models.UniqueConstraint(fields=('measure', 'severity'), name='alert_rule_once'), models.CheckConstraint(condition=models.Q(('measure__in', ['requests_failed', 'request_p95', 'jobs_failed', 'queue_waiting', 'queue_oldest', 'jobs_dead', 'statement_slower', 'replication_lag', 'disk_used', 'ids_used', 'connections_used', 'blocked'])), name='alert_rule_measure_known'), models.CheckConstraint(condition=models.Q(('threshold__gte', 0)), name='alert_rule_threshold'), models.CheckConstraint(condition=models.Q(('cool_down_minutes__range', (1, 10080))), name='alert_rule_cool_down')],
            },
        ),
    ]
