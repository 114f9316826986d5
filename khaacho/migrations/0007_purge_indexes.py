"""What the purge deletes is found by its age. Neither table is locked."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('khaacho', '0006_cancelled_jobs'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='refreshtoken',
            index=models.Index(fields=['expires_at'], name='refresh_token_expires_idx'),
        ),
        AddIndexConcurrently(
            model_name='signinfailure',
            index=models.Index(fields=['created_at'], name='sign_in_failure_created_idx'),
        ),
    ]
