"""What an operator decided about queues, which workers live, and what a job went through."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('khaacho', '0004_list_filter_indexes'),
    ]

    operations = [
        migrations.CreateModel(
            name='QueueSetting',
            fields=[
                ('queue', models.CharField(choices=[('whatsapp', 'Whatsapp'), ('credit_score', 'Credit Score'), ('order_routing', 'Order Routing'), ('payment_reminders', 'Payment Reminders'), ('reports', 'Reports'), ('order_processing', 'Order Processing')], max_length=20, primary_key=True, serialize=False)),
                ('is_paused', models.BooleanField(db_default=False, default=False)),
                ('reason', models.CharField(blank=True, db_default='', default='', max_length=300)),
                ('changed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'queue_settings',
                'constraints': [
                    models.CheckConstraint(condition=models.Q(('is_paused', False), models.Q(('reason', ''), _negated=True), _connector='OR'), name='queue_pause_has_reason'),
                ],
            },
        ),
        migrations.CreateModel(
            name='WorkerNode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120, unique=True)),
                ('queues', models.JSONField(default=list)),
                ('concurrency', models.SmallIntegerField()),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'db_table': 'worker_nodes',
            },
        ),
        migrations.AddField(
            model_name='job',
            name='coalesced',
            field=models.IntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name='job',
            name='failed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='job',
            name='stalls',
            field=models.SmallIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name='queuesetting',
            name='changed_by',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
    ]
