"""Jobs that are done, counted by the minute."""

from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='JobMinute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('queue', models.CharField(choices=[('whatsapp', 'Whatsapp'), ('credit_score', 'Credit Score'), ('order_routing', 'Order Routing'), ('payment_reminders', 'Payment Reminders'), ('reports', 'Reports'), ('order_processing', 'Order Processing')], max_length=20)),
                ('minute', models.DateTimeField()),
                ('counted_until', models.DateTimeField()),
                ('done', models.IntegerField()),
                ('deduplicated', models.IntegerField()),
                ('stalled', models.IntegerField()),
                ('waits', models.JSONField()),
                ('runs', models.JSONField()),
            ],
            options={
                'db_table': 'job_minutes',
                'constraints': [models.UniqueConstraint(fields=('minute', 'queue'), include=('done', 'deduplicated', 'stalled'), name='job_minute_once'), models.CheckConstraint(condition=models.Q(('done__gt', 0)), name='job_minute_not_empty')],
            },
        ),
    ]
