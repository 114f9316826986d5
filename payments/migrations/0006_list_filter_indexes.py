"""What the lists of the admin filter by, each with the order of its list."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('payments', '0005_payment_reference_idx'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='payment',
            index=models.Index(condition=models.Q(('bounced', True)), fields=['-id'], name='payment_bounced_idx'),
        ),
        AddIndexConcurrently(
            model_name='paymentreminder',
            index=models.Index(fields=['state', '-id'], name='reminder_state_idx'),
        ),
    ]
