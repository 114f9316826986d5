"""How long requests by route and jobs by kind took, by five minutes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("monitoring", "0010_statement_sources"),
    ]

    operations = [
        migrations.CreateModel(
            name='OriginSpan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField()),
                ('kind', models.TextField()),
                ('name', models.TextField()),
                ('method', models.TextField()),
                ('outcome', models.TextField()),
                ('ended', models.BigIntegerField()),
                ('microseconds', models.BigIntegerField()),
                ('statements', models.BigIntegerField()),
                ('database_microseconds', models.BigIntegerField()),
                ('buckets', models.JSONField()),
            ],
            options={
                'db_table': 'origin_spans',
                'constraints': [models.UniqueConstraint(fields=('since', 'kind', 'name', 'method', 'outcome'), name='origin_span_once')],
            },
        ),
    ]
