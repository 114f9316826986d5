"""What the lists of the admin filter by, each with the order of its list."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('credit', '0008_search_indexes'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='retailer',
            index=models.Index(condition=models.Q(('is_approved', False)), fields=['-id'], name='retailer_unapproved_idx'),
        ),
        AddIndexConcurrently(
            model_name='retailer',
            index=models.Index(condition=models.Q(('is_blocked', True)), fields=['-id'], name='retailer_blocked_idx'),
        ),
    ]
