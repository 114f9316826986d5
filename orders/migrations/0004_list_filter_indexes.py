"""What the lists of the admin filter by, each with the order of its list."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('orders', '0003_fiscal_years'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(fields=['payment_status', '-created_at'], name='order_payment_status_idx'),
        ),
        AddIndexConcurrently(
            model_name='orderrefusal',
            index=models.Index(fields=['state', '-id'], name='refusal_state_idx'),
        ),
        AddIndexConcurrently(
            model_name='vendororderacceptance',
            index=models.Index(condition=models.Q(('status__in', ('REJECTED', 'EXPIRED', 'WITHDRAWN'))), fields=['status', '-id'], name='acceptance_declined_idx'),
        ),
    ]
