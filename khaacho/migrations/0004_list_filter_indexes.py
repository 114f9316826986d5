"""What the lists of the admin filter by, each with the order of its list."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('khaacho', '0003_storage_settings'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='alert',
            index=models.Index(condition=models.Q(('resolved_at__isnull', False)), fields=['-created_at'], name='alert_closed_idx'),
        ),
        AddIndexConcurrently(
            model_name='alert',
            index=models.Index(fields=['severity', '-created_at'], name='alert_severity_idx'),
        ),
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('state', 'dead')), fields=['-id'], name='job_dead_idx'),
        ),
        AddIndexConcurrently(
            model_name='user',
            index=models.Index(fields=['role', '-id'], name='user_role_idx'),
        ),
        AddIndexConcurrently(
            model_name='user',
            index=models.Index(condition=models.Q(('is_active', False)), fields=['-id'], name='user_inactive_idx'),
        ),
        AddIndexConcurrently(
            model_name='user',
            index=models.Index(condition=models.Q(('is_superuser', True)), fields=['-id'], name='user_super_idx'),
        ),
    ]
