"""Indexes that would help, as the advisor found them, and how far each search came."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True  # of these tables: nothing here touches one that is in use

    dependencies = [
        ('monitoring', '0006_session_and_space_views'),
    ]

    operations = [
        migrations.CreateModel(
            name='AdviceRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('made_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('planned', models.IntegerField()),
                ('candidates', models.IntegerField()),
                ('found', models.IntegerField()),
                ('seconds', models.FloatField()),
                ('is_verified', models.BooleanField()),
                ('is_complete', models.BooleanField()),
                ('skipped', models.JSONField(default=dict)),
            ],
            options={
                'db_table': 'index_advice_runs',
            },
        ),
        migrations.CreateModel(
            name='IndexAdvice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('table', models.CharField(max_length=140)),
                ('definition', models.TextField()),
                ('shape', models.JSONField()),
                ('is_verified', models.BooleanField()),
                ('state', models.CharField(choices=[('open', 'Open'), ('dismissed', 'Dismissed'), ('created', 'Created')], db_default='open', default='open', max_length=9)),
                ('reason', models.CharField(blank=True, db_default='', default='', max_length=300)),
                ('size', models.BigIntegerField(blank=True, null=True)),
                ('saved_ms', models.FloatField(blank=True, null=True)),
                ('workload_ms', models.FloatField(blank=True, null=True)),
                ('entries_written', models.BigIntegerField(blank=True, null=True)),
                ('helped', models.JSONField(default=list)),
                ('makes_redundant', models.JSONField(default=list)),
                ('index_name', models.CharField(blank=True, db_default='', default='', max_length=63)),
                ('measured', models.JSONField(default=dict)),
                ('first_seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('last_seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('index_seen_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name_plural': 'index advice',
                'db_table': 'index_advice',
                'indexes': [models.Index(fields=['state', '-id'], name='index_advice_state_idx')],
                'constraints': [models.UniqueConstraint(fields=('table', 'definition'), name='index_advice_once'), models.CheckConstraint(condition=models.Q(('state__in', ['open', 'dismissed', 'created'])), name='index_advice_state_known'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'created'), _negated=True), models.Q(models.Q(('index_name', ''), _negated=True), ('index_seen_at__isnull', False)), _connector='OR'), name='index_advice_created_is_named')],
            },
        ),
    ]
