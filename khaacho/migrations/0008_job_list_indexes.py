"""Staff filter jobs by kind, and look for the cancelled ones. The table is not locked."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('khaacho', '0007_purge_indexes'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('state', 'cancelled')), fields=['-id'], name='job_cancelled_idx'),
        ),
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(fields=['kind', '-id'], name='job_kind_idx'),
        ),
    ]
