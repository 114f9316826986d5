"""A job may be cancelled; what failed lately has an index. Neither locks a table that is in use."""

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('khaacho', '0005_queues_and_workers'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='job',
            index=models.Index(condition=models.Q(('failed_at__isnull', False)), fields=['-failed_at'], name='job_failed_idx'),
        ),
        migrations.RemoveConstraint(
            model_name='job',
            name='job_state_known',
        ),
        AddConstraintNotValid(
            model_name='job',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['queued', 'running', 'done', 'dead', 'cancelled'])), name='job_state_known'),
        ),
        ValidateConstraint(
            model_name='job',
            name='job_state_known',
        ),
    ]
