"""An index for the figures of the queues: what finished lately."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('khaacho', '0009_next_job_index'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('finished_at__isnull', False)), fields=['finished_at'], include=['queue', 'state', 'coalesced', 'stalls'], name='job_finished_idx'),
        ),
    ]
