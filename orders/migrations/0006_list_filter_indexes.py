"""What the lists of the admin filter by, each with the order of its list."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('orders', '0005_vendor_list_index'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='orderrefusal',
            index=models.Index(fields=['state', '-id'], name='refusal_state_idx'),
        ),
        AddIndexConcurrently(
            model_name='vendororderacceptance',
            index=models.Index(condition=models.Q(('status__in', ('REJECTED', 'EXPIRED', 'WITHDRAWN'))), fields=['status', '-id'], name='acceptance_declined_idx'),
        ),
    ]
