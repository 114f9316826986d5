"""The states of a reminder have a shape, and its lists their indexes; nothing is locked long."""

from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('payments', '0009_reminder_notice'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='paymentreminder',
            index=models.Index(fields=['level', '-id'], name='reminder_level_idx'),
        ),
        AddIndexConcurrently(
            model_name='paymentreminder',
            index=models.Index(condition=models.Q(('notice__isnull', False)), fields=['notice'], name='reminder_notice_idx'),
        ),
        AddConstraintNotValid(
            model_name='paymentreminder',
            constraint=models.CheckConstraint(condition=models.Q(('level__in', [-3, 0, 3, 7, 15, 30, 45, 60, 90])), name='reminder_level_known'),
        ),
        AddConstraintNotValid(
            model_name='paymentreminder',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('notice__isnull', False), ('sent_at__isnull', False), ('state', 'SENT')), models.Q(('notice__isnull', False), ('sent_at__isnull', True), ('state', 'QUEUED')), models.Q(('sent_at__isnull', True), ('state', 'SKIPPED'), models.Q(('reason', ''), _negated=True)), models.Q(('notice__isnull', True), ('sent_at__isnull', True), ('state', 'TASK')), _connector='OR'), name='reminder_state_shape'),
        ),
        ValidateConstraint(model_name='paymentreminder', name='reminder_level_known'),
        ValidateConstraint(model_name='paymentreminder', name='reminder_state_shape'),
    ]
