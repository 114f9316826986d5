"""The queue is called WhatsApp; no column changes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0006_session_and_space_views'),
        ('monitoring', '0011_origin_spans'),
    ]

    operations = [
        migrations.AlterField(
            model_name='jobminute',
            name='queue',
            field=models.CharField(choices=[('whatsapp', 'WhatsApp'), ('credit_score', 'Credit Score'), ('order_routing', 'Order Routing'), ('payment_reminders', 'Payment Reminders'), ('reports', 'Reports'), ('order_processing', 'Order Processing')], max_length=20),
        ),
    ]
