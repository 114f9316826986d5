"""Which code issues which statement, and how long it took, by five minutes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("monitoring", "0002_reports"),
    ]

    operations = [
        migrations.CreateModel(
            name='StatementForm',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.BigIntegerField()),
                ('form', models.TextField()),
                ('seen_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'statement_forms',
                'indexes': [models.Index(fields=['seen_at'], name='statement_form_seen_idx')],
                'constraints': [models.UniqueConstraint(fields=('fingerprint',), name='statement_form_once')],
            },
        ),
        migrations.CreateModel(
            name='StatementPlace',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.BigIntegerField()),
                ('kind', models.TextField()),
                ('name', models.TextField()),
                ('method', models.TextField()),
                ('file', models.TextField()),
                ('line', models.IntegerField()),
                ('function', models.TextField()),
                ('samples', models.BigIntegerField()),
                ('seen_at', models.DateTimeField()),
            ],
            options={
                'db_table': 'statement_places',
                'indexes': [models.Index(fields=['seen_at'], name='statement_place_seen_idx')],
                'constraints': [models.UniqueConstraint(fields=('fingerprint', 'kind', 'name', 'method', 'file', 'line'), name='statement_place_once')],
            },
        ),
        migrations.CreateModel(
            name='StatementSpan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField()),
                ('fingerprint', models.BigIntegerField()),
                ('kind', models.TextField()),
                ('name', models.TextField()),
                ('method', models.TextField()),
                ('calls', models.BigIntegerField()),
                ('errors', models.BigIntegerField()),
                ('microseconds', models.BigIntegerField()),
                ('buckets', models.JSONField()),
            ],
            options={
                'db_table': 'statement_spans',
                'indexes': [models.Index(fields=['since'], name='statement_span_since_idx')],
                'constraints': [models.UniqueConstraint(fields=('fingerprint', 'since', 'kind', 'name', 'method'), name='statement_span_once')],
            },
        ),
    ]
