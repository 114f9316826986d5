"""Direct mode takes the most urgent job without sorting what waits. The table is not locked."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('khaacho', '0008_job_list_indexes'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('state', 'queued')), fields=['-priority', 'run_after', 'id'], name='job_next_idx'),
        ),
    ]
