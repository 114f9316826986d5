"""A reminder belongs to the notice that carried it, and its states have a shape; nothing is locked long."""

import django.db.models.deletion
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    AddIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('payments', '0008_promises_disputes_tasks_notices'),
    ]

    operations = [
        migrations.AlterField(
            model_name='paymentreminder',
            name='state',
            field=models.CharField(choices=[('QUEUED', 'Queued'), ('SENT', 'Sent'), ('SKIPPED', 'Skipped'), ('TASK', 'Task')], default='QUEUED', max_length=7),
        ),
        migrations.AddField(
            model_name='paymentreminder',
            name='notice',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reminders', to='payments.remindernotice'),
        ),
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
